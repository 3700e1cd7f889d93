/// The text of training progress: pure functions from values to strings.
public struct ProgressLine: Equatable, Sendable {
  public var line: StepLine
  /// Number of steps of the run.
  public var totalSteps: Int
  /// `nil` where nothing is known yet.
  public var rate: StepRate?

  public init(line: StepLine, totalSteps: Int, rate: StepRate?) {
    self.line = line
    self.totalSteps = totalSteps
    self.rate = rate
  }

  /// The whole line.
  public var text: String { text(width: .max) }

  /// The line in at most `width` columns: whole fields go, the least important first.
  public func text(width: Int) -> String {
    var fields = self.fields
    while fields.count > 1, Self.join(fields).count > width,
      let least = fields.indices.max(by: { fields[$0].rank < fields[$1].rank })
    {
      fields.remove(at: least)
    }
    return TextTable.cut(Self.join(fields), to: width)
  }

  private struct Field {
    var text: String
    /// 0 is the most important.
    var rank: Int
  }

  private var fields: [Field] {
    let total = String(totalSteps)
    let step = String(line.step)
    let place = String(repeating: " ", count: max(total.count - step.count, 0)) + step + "/" + total
    var fields = [Field(text: place, rank: 0), Field(text: "loss \(Self.loss(line.loss))", rank: 1)]
    // A part that is the whole needs no place of its own.
    if let sft = line.sftLoss, let flow = line.flowLoss {
      fields += [Field(text: "sft \(Self.loss(sft))", rank: 4), Field(text: "flow \(Self.loss(flow))", rank: 3)]
    }
    if line.skippedSteps > 0 { fields.append(Field(text: "\(line.skippedSteps) skipped", rank: 2)) }
    fields.append(Field(text: "grad \(NumberText.short(line.gradNorm))", rank: 6))
    fields.append(Field(text: "lr \(NumberText.scientific(line.learningRate, digits: 1))", rank: 8))
    if let rate {
      fields.append(Field(text: "\(NumberText.compact(rate.tokensPerSecond)) tok/s", rank: 5))
      if line.trajectories > 0 {
        fields.append(Field(text: "\(NumberText.compact(rate.trajectoriesPerSecond)) traj/s", rank: 7))
      }
      let left = Double(max(totalSteps - line.step, 0)) * rate.secondsPerStep
      fields.append(Field(text: "ETA \(NumberText.duration(left))", rank: 2))
    }
    return fields
  }

  private static func join(_ fields: [Field]) -> String { fields.map(\.text).joined(separator: "  ") }

  /// Four significant digits, so that neighbouring steps can be told apart.
  private static func loss(_ value: Double) -> String { NumberText.short(value, digits: 4) }

  /// The table of what is about to run: keys at the left, values after them, long values cut at 80 columns.
  public static func startTable(_ rows: [(key: String, value: String)], width: Int = 80) -> String {
    let keyWidth = rows.map { TextTable.printable($0.key).count }.max() ?? 0
    return rows.map { row in
      let key = TextTable.printable(row.key)
      let gap = String(repeating: " ", count: keyWidth - key.count + 2)
      return TextTable.cut(key + gap + TextTable.printable(row.value), to: width)
    }.joined(separator: "\n")
  }
}

/// How fast the last steps were.
public struct StepRate: Equatable, Sendable {
  public var secondsPerStep: Double
  public var tokensPerSecond: Double
  public var trajectoriesPerSecond: Double

  /// The rate over consecutive steps; `nil` if no time passed between known instants.
  ///
  /// The first line only marks the instant from which time counts, unless it is step 1, before which is zero.
  public init?(_ lines: some Collection<StepLine>) {
    guard let first = lines.first else { return nil }
    let startsAtZero = first.step == 1
    let counted = lines.dropFirst(startsAtZero ? 0 : 1)
    guard let last = counted.reversed().first else { return nil }
    let seconds = last.seconds - (startsAtZero ? 0 : first.seconds)
    guard seconds > 0, seconds.isFinite else { return nil }
    secondsPerStep = seconds / Double(counted.count)
    tokensPerSecond = counted.reduce(0) { $0 + Double($1.tokens) } / seconds
    trajectoriesPerSecond = counted.reduce(0) { $0 + Double($1.trajectories) } / seconds
  }
}
