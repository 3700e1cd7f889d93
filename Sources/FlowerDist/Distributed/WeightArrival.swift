/// New weights on their way from their owners to all ranks, in the order of the arena, so that a forward pass can begin with
/// the first layers while the last are still coming.
///
/// Until ``finish()`` nobody may write to the arena: a rank may still have to send what it reads.
public final class WeightArrival {
  private let plan: ReductionPlan
  private let pipeline: BucketPipeline

  init(_ plan: ReductionPlan, _ pipeline: BucketPipeline) {
    (self.plan, self.pipeline) = (plan, pipeline)
    for bucket in plan.buckets.indices { pipeline.add(bucket) }
    pipeline.advance()
  }

  // What is on its way needs the arena, also where an error ends the run; all ranks end with it, so all get here.
  deinit { finish() }

  /// Moves what can be moved: MPI sends only while it is called.
  func advance() { pipeline.advance() }

  /// Returns when the first `end` floats of the arena are there.
  func wait(upTo end: Int) {
    pipeline.finish(through: plan.buckets.lastIndex { plan.floats($0).lowerBound < end } ?? -1)
  }

  /// Returns when all floats are there and have been sent on.
  public func finish() { pipeline.finish() }
}
