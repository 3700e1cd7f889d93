/// Trains and measures the runs of a plan one after the other, all ranks each, and leaves a row for each.
///
/// What is done is not done again: a run that has its row is passed over, one that was begun goes on from its newest
/// checkpoint, a row that lacks a split gets it.
public final class Sweep {
  /// Which settings are measured on the test split, besides validation.
  public enum Tested: String, CaseIterable, Sendable { case selected, all, none }

  public struct Options: Sendable {
    /// By which metric the best setting of each recipe is chosen, on the validation split; unless given `ndcg@10`, and
    /// `total_variation` for data without histories.
    public var select: String?
    public var tested = Tested.selected
    public init() {}
  }

  private let plan: SweepPlan
  private let options: Options
  private let communicator: any Communicator
  /// On rank zero.
  private let lock: DirectoryLock?
  /// On rank zero, by the run's place in the plan.
  private var rows: [ResultRow?]

  /// What is to be done for a run; rank zero tells.
  private enum Task: UInt8 { case nothing, measure, start, goOn }

  /// Collective.
  ///
  /// - Throws: `FlowerError` of kind `usage` if another process works on this sweep, or it has a run of this name with
  ///   another recipe.
  public init(_ plan: SweepPlan, _ options: Options, _ communicator: any Communicator) throws {
    if let metric = options.select, Metric.better(metric) == nil {
      throw FlowerError(
        .usage,
        "--select \(metric): expected a metric with a good end, such as ndcg@10 or total_variation")
    }
    self.plan = plan
    self.options = options
    self.communicator = communicator
    try communicator.agree([
      ("the runs of the sweep", plan.runs.map { $0.recipe.yaml }.joined(separator: "\n"))
    ])
    (lock, rows) = try communicator.together {
      guard communicator.isRoot else { return (nil, []) }
      try Directory.create(plan.results)
      let lock = try DirectoryLock(plan.directory)
      return (lock, try plan.runs.enumerated().map { try Self.row($1, at: $0, plan) })
    }
  }

  /// The row that a run has already.
  private static func row(_ run: SweepPlan.Run, at position: Int, _ plan: SweepPlan) throws -> ResultRow? {
    let file = plan.row(of: run)
    guard File.exists(file) else {
      try RunDirectory.checkSame(run.recipe)
      return nil
    }
    var row = try ResultRow(file: file)
    let differences = row.differences(from: run.recipe)
    guard differences.isEmpty else {
      throw FlowerError(
        .usage,
        "\(file): this run had \(differences.joined(separator: ", ")); give the sweep another --name, or delete it"
      )
    }
    if !row.isMeasured(as: run.recipe) {
      row.evaluations = []
      row.recipe = ResultRow(run: run.name, setting: run.setting, recipe: run.recipe).recipe
    }
    if row.position != position {
      row.position = position
      try row.write(to: file)
    }
    return row
  }

  // MARK: Running

  /// Collective. Throws `interrupted` when a signal asked to stop: the same command goes on.
  ///
  /// - Returns: on rank zero, the table of all runs.
  public func run() throws -> ResultTable? {
    for index in plan.runs.indices {
      switch try task(index) {
      case .nothing: break
      case .measure: try measure(index, on: [.valid])
      case .start: if try train(index, .fresh) { try measure(index, on: [.valid]) }
      case .goOn: if try train(index, .latest) { try measure(index, on: [.valid]) }
      }
      try checkSignal()
    }
    for index in try tested() {
      try measure(index, on: [.test])
      try checkSignal()
    }
    return communicator.isRoot ? ResultTable(rows.compactMap { $0 }, select: options.select) : nil
  }

  private func task(_ index: Int) throws -> Task {
    let run = plan.runs[index]
    let task = try communicator.fromRoot {
      guard let row = rows[index] else {
        return [(File.exists(run.path) ? Task.goOn : .start).rawValue]
      }
      let isWhole = row.status == .diverged || !row.audit.isEmpty || row[.valid] != nil
      return [(isWhole ? Task.nothing : .measure).rawValue]
    }
    let known = task.first.flatMap(Task.init(rawValue:)) ?? .nothing
    if communicator.isRoot {
      let what =
        switch known {
        case .nothing: " has its row already"
        case .measure: " is measured again"
        case .start: ""
        case .goOn: " was begun and goes on"
        }
      let gap = index > 0 && known != .nothing ? "\n" : ""
      print("\(gap)run \(index + 1) of \(plan.runs.count): \(run.name)\(what)")
    }
    return known
  }

  /// Trains a run to its end. Returns whether it did not diverge.
  private func train(_ index: Int, _ start: TrainingLoop.Start) throws -> Bool {
    let run = plan.runs[index]
    var divergence: String?
    do {
      try TrainingLoop(run.recipe, start: start, communicator).train()
    } catch let error as FlowerError where error.kind == .diverged {
      divergence = error.description
    } catch let error as FlowerError where error.kind == .interrupted {
      throw FlowerError(
        .interrupted,
        "stopped by a signal in \(run.name), where it is saved; the same sweep goes on with it")
    }
    try communicator.together {
      guard communicator.isRoot else { return }
      var row = ResultRow(run: run.name, setting: run.setting, recipe: run.recipe, position: index)
      let record = try RunRecord(path: run.path)
      row.steps = record.steps.last?.step ?? 0
      (row.seconds, row.tokens, row.trajectories) = (
        record.seconds, record.tokens, record.trajectories
      )
      row.environment = record.environment ?? .null
      row.dataDigest = row.environment["data_sha256"]?.string ?? ""
      if let divergence {
        row.status = .diverged
        row.message = divergence
        print(divergence)
        try row.write(to: plan.row(of: run))
      }
      rows[index] = row
    }
    return divergence == nil
  }

  /// Measures a trained run and writes its row.
  private func measure(_ index: Int, on splits: [Dataset.Split]) throws {
    let run = plan.runs[index]
    let trained = try TrainedRun(run.recipe, communicator)
    var evaluations: [ResultRow.Evaluation] = []
    var audit: AuditReport?
    if trained.isDistribution {
      audit = try trained.audit()
    } else {
      for split in splits {
        evaluations.append(.init(split: split, rows: try trained.evaluate(split)))
      }
    }
    try communicator.together {
      guard communicator.isRoot, var row = rows[index] else { return }
      guard row.dataDigest == trained.dataDigest else {
        throw FlowerError(
          .data,
          "\(plan.row(of: run)): the data was another when this run was trained; give the sweep another --name")
      }
      row.checkpoint = trained.checkpoint
      row.evaluations.removeAll { old in evaluations.contains { $0.split == old.split } }
      row.evaluations += evaluations
      if let audit {
        row.audit = audit.summary
        try Self.write(audit.json, to: "\(run.path)/audit.json")
      }
      if let test = evaluations.first(where: { $0.split == .test }) {
        try Self.write(.array(test.rows.map(\.json)), to: "\(run.path)/evaluation.json")
      }
      try row.write(to: plan.row(of: run))
      rows[index] = row
    }
  }

  private static func write(_ json: JSON, to path: String) throws {
    try AtomicFile.write(json.serialized() + [0x0A], to: path)
  }

  /// The places of the runs that lack a measurement on the test split.
  private func tested() throws -> [Int] {
    let bytes = try communicator.fromRoot {
      let table = ResultTable(rows.compactMap { $0 }, select: options.select)
      let selected = table.selected
      if options.select != nil, selected.isEmpty, rows.contains(where: { $0?.status == .finished }) {
        throw FlowerError(.usage, "--select \(table.select): the runs are not measured by this")
      }
      return plan.runs.indices.filter { index in
        guard let row = rows[index], row.status == .finished, row.audit.isEmpty, row[.test] == nil
        else { return false }
        switch options.tested {
        case .all: return true
        case .selected: return selected.contains(row.setting)
        case .none: return false
        }
      }.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    }
    return bytes.chunks(of: 2).map { Int($0[$0.startIndex]) | Int($0[$0.startIndex + 1]) << 8 }
  }

  private func checkSignal() throws {
    if StopSignal.isRequested(communicator) {
      throw FlowerError(
        .interrupted, "stopped by a signal between two runs; the same sweep goes on with the next")
    }
  }
}
