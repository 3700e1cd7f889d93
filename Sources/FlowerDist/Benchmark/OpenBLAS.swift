import COpenBLAS
import Foundation

/// What products are measured against: the library's sgemm on this machine.
public enum OpenBLAS {
  /// c = a · b of square matrices of `size`, row-major, on one thread or more.
  static func multiply(_ size: Int, _ a: FloatPointer, _ b: FloatPointer, to c: MutableFloatPointer, threads: Int) {
    let n = blasint(size)
    openblas_set_num_threads(Int32(threads))
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n)
  }

  /// Version and build options.
  static var configuration: String { String(cString: openblas_get_config()) }

  /// The name of the kernel that OpenBLAS chose for this CPU, e.g. `SkylakeX`.
  static var kernelName: String { String(cString: openblas_get_corename()) }

  /// Starts the program again with `OPENBLAS_CORETYPE` set, if OpenBLAS chose kernels without AVX2 on a CPU that has it.
  ///
  /// An OpenBLAS that is older than the CPU does not know it and falls back to kernels that are several times slower
  /// (0.3.21 on Sapphire Rapids: Prescott, a seventh of the speed), which would be a ceiling that is easy to reach. The
  /// choice is made when the library is loaded, so it can only be set for a new start of the program.
  public static func chooseKernels() {
    let variable = "OPENBLAS_CORETYPE"
    let slow = ["prescott", "core2", "penryn", "dunnington", "nehalem", "sandybridge", "atom", "generic"]
    guard ProcessInfo.processInfo.environment[variable] == nil, slow.contains(kernelName.lowercased()),
      let kernel = fittingKernel()
    else { return }
    setenv(variable, kernel, 1)
    var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &arguments)
    // Where the program cannot be started again the ceiling is low; the name of its kernel is shown.
  }

  private static func fittingKernel() -> String? {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    guard let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags") }) else { return nil }
    let flags = Set(line.split(separator: " "))
    if ["avx512f", "avx512bw", "avx512dq", "avx512vl"].allSatisfy({ flags.contains($0) }) { return "SkylakeX" }
    return flags.contains("avx2") && flags.contains("fma") ? "Haswell" : nil
  }
}
