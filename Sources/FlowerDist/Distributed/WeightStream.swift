/// Brings the learners' weights to the samplers while both do something else.
final class WeightStream {
  private let communicator: any Communicator
  private let roles: RankRoles
  private let weights: FloatArena
  private var messages: [Message] = []

  /// Floats of a message; MPI counts its bytes in 32 bits.
  private static let piece = 1 << 24

  init(_ communicator: any Communicator, _ roles: RankRoles, _ weights: FloatArena) {
    (self.communicator, self.roles, self.weights) = (communicator, roles, weights)
  }

  // What is on its way needs the arena, also where an error ends the run.
  deinit { finish() }

  /// Starts to send or to receive all weights. Until ``finish()`` learners may only read them, and samplers not even that.
  func start() {
    let (learners, samplers) = (roles.learners, roles.samplers)
    for (tag, start) in stride(from: 0, to: weights.count, by: Self.piece).enumerated() {
      let bytes = UnsafeMutableRawBufferPointer(weights.view(start..<min(start + Self.piece, weights.count)))
      if roles.isLearner {
        for sampler in stride(from: roles.rank, to: samplers, by: learners) {
          messages.append(communicator.send(UnsafeRawBufferPointer(bytes), to: learners + sampler, tag: tag))
        }
      } else {
        messages.append(communicator.receive(bytes, from: (roles.rank - learners) % learners, tag: tag))
      }
    }
  }

  /// Moves what can be moved: MPI sends only while it is called.
  func advance() { messages.removeAll { communicator.isDone($0) } }

  /// Returns when this rank's weights are free to be used.
  func finish() {
    for message in messages { communicator.wait(for: message) }
    messages.removeAll(keepingCapacity: true)
  }
}
