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
    let threads = ProcessInfo.processInfo.environment["OPENBLAS_NUM_THREADS"].flatMap { Int($0) } ?? 1
    Threads.count = min(max(threads, 1), 1024)
    guard MPICommunicator.isLaunched else { return SingleProcess() }
    let communicator = try MPICommunicator()
    mpi = communicator
    return communicator
  }

  /// Says what went wrong, once, and ends with its code. The first rank to end with an error kills ranks that still
  /// write, so all wait for each other first.
  static func leave(_ error: FlowerError) -> Never {
    var error = error
    if let mpi, !error.isShared {
      // Meets the others here, or in the next thing that they do together.
      do { try mpi.together { throw error } } catch let joint { error = joint as? FlowerError ?? error }
    }
    if isFirst { FileHandle.standardError.write(Data("error: \(error.description)\n".utf8)) }
    leave(code: error.kind.rawValue)
  }

  static func leave(code: Int32) -> Never {
    // mpirun ends the others as soon as one ends with an error; they are about to, with the same code.
    signal(SIGTERM, SIG_IGN)
    fflush(nil)
    mpi?.finish()
    exit(code)
  }
}
