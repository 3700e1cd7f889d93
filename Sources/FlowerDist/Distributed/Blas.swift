import COpenBLAS
import Foundation

/// Which kernels OpenBLAS runs on.
public enum Blas {
  /// Starts the program again with `OPENBLAS_CORETYPE` set, if OpenBLAS chose kernels without AVX2 on a CPU that has it.
  ///
  /// An OpenBLAS that is older than the CPU does not know it and falls back to kernels that are several times slower
  /// (0.3.21 on Sapphire Rapids: Prescott, a seventh of the speed). The choice is made when the library is loaded, so it
  /// can only be set for a new start of the program. To be called first, before MPI.
  public static func chooseKernels() {
    let variable = "OPENBLAS_CORETYPE"
    let slow = ["prescott", "core2", "penryn", "dunnington", "nehalem", "sandybridge", "atom", "generic"]
    guard ProcessInfo.processInfo.environment[variable] == nil, slow.contains(Gemm.kernelName.lowercased()),
      let kernel = fittingKernel()
    else { return }
    setenv(variable, kernel, 1)
    var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &arguments)
    // Where the program cannot be started again it goes on, slower.
  }

  private static func fittingKernel() -> String? {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    guard let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags") }) else { return nil }
    let flags = Set(line.split(separator: " "))
    if ["avx512f", "avx512bw", "avx512dq", "avx512vl"].allSatisfy({ flags.contains($0) }) { return "SkylakeX" }
    return flags.contains("avx2") && flags.contains("fma") ? "Haswell" : nil
  }

  /// Threads that one rank's products use; results depend on it in the last bit.
  public static var threads: Int {
    get { Gemm.threads }
    set { Gemm.threads = newValue }
  }
}
