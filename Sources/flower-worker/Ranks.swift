import FlowerDist
import Foundation

/// The ranks of this run: MPI is initialised under mpirun only, and left together.
enum Ranks {
  nonisolated(unsafe) private static var mpi: MPICommunicator?

  /// Whether this process is rank zero, also before MPI is initialised.
  static var isFirst: Bool {
    let environment = ProcessInfo.processInfo.environment
    return (environment["OMPI_COMM_WORLD_RANK"] ?? environment["PMIX_RANK"] ?? "0") == "0"
  }

  /// Joins the others; alone, a single process.
  static func join() throws -> any Communicator {
    if Blas.threads > 1, ProcessInfo.processInfo.environment["OPENBLAS_NUM_THREADS"] == nil { Blas.threads = 1 }
    guard MPICommunicator.isLaunched else { return SingleProcess() }
    let communicator = try MPICommunicator()
    mpi = communicator
    return communicator
  }

  /// Says what went wrong and ends with its code. The first rank to end with an error kills ranks that still write, so
  /// all wait for each other first; errors are raised on all ranks together.
  static func leave(_ error: FlowerError) -> Never {
    let prefix = mpi.map { "[rank \($0.rank) \($0.hosts[$0.rank])] " } ?? ""
    if isFirst || !error.description.hasPrefix("rank ") {
      FileHandle.standardError.write(Data("\(isFirst ? "" : prefix)error: \(error.description)\n".utf8))
    }
    leave(code: error.kind.rawValue)
  }

  static func leave(code: Int32) -> Never {
    fflush(nil)
    mpi?.finish()
    exit(code)
  }
}
