import CMPI
import Foundation

/// The name of this machine.
func hostName() -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  gethostname(&buffer, buffer.count - 1)
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// All ranks that mpirun started. Made once in main and handed down; MPI is called on the main thread only.
public final class MPICommunicator: Communicator {
  public let rank: Int
  public let size: Int
  public private(set) var hosts: [String] = []

  private let world = flower_mpi_world()
  /// Those that are not done.
  private var requests: [Message: MPI_Request] = [:]
  private var messages = 0

  /// Whether this process was started by mpirun (or by Slurm with PMIx).
  public static var isLaunched: Bool {
    let environment = ProcessInfo.processInfo.environment
    return environment["OMPI_COMM_WORLD_SIZE"] != nil || environment["PMIX_RANK"] != nil
  }

  public init() throws {
    var provided: Int32 = 0
    guard MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided) == MPI_SUCCESS,
      provided >= Int32(MPI_THREAD_FUNNELED)
    else {
      throw FlowerError(.communication, "MPI cannot be initialised with MPI_THREAD_FUNNELED")
    }
    MPI_Comm_set_errhandler(world, flower_mpi_errors_return())
    var number: Int32 = 0
    MPI_Comm_rank(world, &number)
    rank = Int(number)
    MPI_Comm_size(world, &number)
    size = Int(number)
    hosts = gather(Array(hostName().utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The last call of a run: waits for all ranks, then leaves MPI.
  public func finish() {
    barrier()
    MPI_Finalize()
  }

  /// Ends the job at once with `code`: for a rank that cannot go on and cannot reach the others.
  public func abort(_ code: Int32) { MPI_Abort(world, code) }

  /// An error inside MPI leaves nothing to go on with on any rank: it is said, and the whole job ends.
  private func check(_ code: Int32, _ call: StaticString) {
    if code == MPI_SUCCESS { return }
    var text = [CChar](repeating: 0, count: 1024)
    var length: Int32 = 0
    MPI_Error_string(code, &text, &length)
    let reason = String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    FileHandle.standardError.write(Data("[rank \(rank) \(hostName())] error: \(call) failed: \(reason)\n".utf8))
    abort(FlowerError.Kind.communication.rawValue)
  }

  public func barrier() { check(MPI_Barrier(world), "MPI_Barrier") }

  public func sum(_ values: UnsafeMutableBufferPointer<Double>) {
    check(
      MPI_Allreduce(
        flower_mpi_in_place(), values.baseAddress, Int32(values.count), flower_mpi_double(), flower_mpi_sum(), world),
      "MPI_Allreduce")
  }

  public func max(_ values: [Int64]) -> [Int64] {
    var result = values
    check(
      MPI_Allreduce(flower_mpi_in_place(), &result, Int32(values.count), flower_mpi_int64(), flower_mpi_max(), world),
      "MPI_Allreduce")
    return result
  }

  public func gather(_ bytes: [UInt8]) -> [[UInt8]] {
    var counts = [Int32](repeating: 0, count: size)
    counts[rank] = Int32(bytes.count)
    let all = max(counts.map { Int64($0) })
    counts = all.map { Int32($0) }
    var offsets: [Int32] = [0]
    for count in counts { offsets.append(offsets.last! + count) }
    var result = [UInt8](repeating: 0, count: Int(offsets.last!))
    check(
      MPI_Allgatherv(
        bytes, Int32(bytes.count), flower_mpi_byte(), &result, counts, offsets, flower_mpi_byte(), world),
      "MPI_Allgatherv")
    return (0..<size).map { Array(result[Int(offsets[$0])..<Int(offsets[$0 + 1])]) }
  }

  public func broadcast(_ bytes: [UInt8]) -> [UInt8] {
    var count = Int64(bytes.count)
    check(MPI_Bcast(&count, 1, flower_mpi_int64(), 0, world), "MPI_Bcast")
    var result = isRoot ? bytes : [UInt8](repeating: 0, count: Int(count))
    // A count of MPI is 32 bits wide.
    var start = 0
    result.withUnsafeMutableBytes { buffer in
      while start < buffer.count {
        let length = Swift.min(buffer.count - start, 1 << 30)
        check(MPI_Bcast(buffer.baseAddress! + start, Int32(length), flower_mpi_byte(), 0, world), "MPI_Bcast")
        start += length
      }
    }
    return result
  }

  public func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) -> Message {
    var request: MPI_Request?
    check(
      MPI_Isend(bytes.baseAddress, Int32(bytes.count), flower_mpi_byte(), Int32(rank), Int32(tag), world, &request),
      "MPI_Isend")
    return message(request)
  }

  public func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int) -> Message {
    var request: MPI_Request?
    check(
      MPI_Irecv(bytes.baseAddress, Int32(bytes.count), flower_mpi_byte(), Int32(rank), Int32(tag), world, &request),
      "MPI_Irecv")
    return message(request)
  }

  private func message(_ request: MPI_Request?) -> Message {
    messages += 1
    requests[Message(number: messages)] = request
    return Message(number: messages)
  }

  public func isDone(_ message: Message) -> Bool {
    guard let pending = requests[message] else { return true }
    var request: MPI_Request? = pending
    var flag: Int32 = 0
    check(MPI_Test(&request, &flag, flower_mpi_status_ignore()), "MPI_Test")
    if flag != 0 { requests[message] = nil }
    return flag != 0
  }

  public func wait(forAny messages: [Message]) {
    var waiting = messages.map { requests[$0] }
    if waiting.contains(where: { $0 == nil }) { return }
    var index: Int32 = 0
    check(
      MPI_Waitany(Int32(waiting.count), &waiting, &index, flower_mpi_status_ignore()), "MPI_Waitany")
    if messages.indices.contains(Int(index)) { requests[messages[Int(index)]] = nil }
  }
}
