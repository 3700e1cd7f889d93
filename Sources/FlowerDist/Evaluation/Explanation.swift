import Foundation

/// One title of the catalogue, step by step: how its reward and its probability are split over its tokens.
///
/// The policy is that over the catalogue's options, which is what is sampled and decoded.
public struct Explanation: Equatable, Sendable {
  /// One transition: a token of the title, or its end.
  public struct Step: Equatable, Sendable {
    /// The token; the terminator last.
    public var token: Int32
    /// Its bytes as text, with replacements where they are part of a character; empty for the terminator.
    public var text: String
    /// Number of options at the state before it.
    public var options: Int
    /// Flow of the state that it leads to, as a share of the flow of the empty prefix; at the end the item's reward.
    public var flow: Double
    /// r, the token's reward: the share of the flow that it keeps (under the published flow rule what becomes of it by the
    /// title's score).
    public var reward: Double
    /// log π, its log-probability among the options.
    public var logProbability: Double
    /// log π - log r; infinite where the reward is zero.
    public var residual: Double
    /// Sum of the residuals up to here: log of the prefix's probability over its flow.
    public var runningResidual: Double

    /// Whether there is no choice: a residual of zero, whatever the model.
    public var isForced: Bool { options == 1 }
  }

  public var title: String
  public var history: [String]
  /// Whether the rewards depend on the history.
  public var isPersonal: Bool
  public var steps: [Step]

  /// The item's probability: the product along its steps.
  public var probability: Double { exp(steps.reduce(0) { $0 + $1.logProbability }) }
  /// The item's share of all rewards.
  public var target: Double { steps.last!.flow }

  /// - Parameters:
  ///   - title: a title of the catalogue.
  ///   - history: titles, oldest first.
  /// - Throws: `FlowerError` of kind `usage` for a title that the catalogue does not have, naming the nearest, or a history that
  ///   the model does not read.
  public init(_ catalogue: Catalogue, _ language: LanguageModel, title: String, history: [String]) throws {
    try catalogue.checkHistory(history)
    if catalogue.score is ScoreFile, catalogue.rewards.isPersonal {
      throw FlowerError(
        .usage, "explain needs rewards of any history; those of reward.score file are known for the dataset's examples only")
    }
    let leaf = Int(catalogue.tree.leafOfItem[Int(try catalogue.item(titled: title, option: "--item"))])
    guard leaf >= 0 else { throw FlowerError(.usage, "--item: --catalogue leaves out \(title.quoted)") }
    let items = try history.map { try catalogue.item(titled: $0, option: "--history") }
    let rewards = catalogue.rewards.rewards(history: items, leavingOut: nil)
    let prompt = try catalogue.prompt(history: items).tokens
    self.title = title
    self.history = history
    isPersonal = catalogue.rewards.isPersonal
    steps = Self.steps(leaf, rewards, catalogue.tokenizer, language, prompt: prompt)
  }

  private static func steps(
    _ leaf: Int, _ rewards: TokenRewards, _ tokenizer: Tokenizer, _ language: LanguageModel, prompt: [Int32]
  ) -> [Step] {
    let tree = rewards.tree
    var titles = TitleForest(tree)
    _ = titles.addPrompt(prompt)
    titles.addTitle(prompt: 0, leaf: leaf, support: .catalogue)
    let scores = language.score(titles, training: false)
    let path = tree.path(toLeaf: leaf)
    let logRewards = rewards.logRewards(toLeaf: leaf)
    let flows = rewards.logFlows(toLeaf: leaf).dropFirst().map { exp($0) } + [rewards.target[leaf]]
    // What rewards that are not normalised add up to counts from the start.
    var running = rewards.logTotal
    return path.enumerated().map { index, node in
      let child = index + 1 < path.count ? path[index + 1] : nil
      let options = titles.scores(prompt: 0, node: node, support: .catalogue)
      let logProbability = options.map { scores[$0.lowerBound + tree.option(of: node, leadingTo: child)] } ?? 0
      let residual = logProbability - logRewards[index]
      running += residual
      let token = child.map { tree.token[$0] } ?? tree.terminator
      return Step(
        token: token, text: child == nil ? "" : String(decoding: tokenizer.decode([token]), as: UTF8.self),
        options: Int(tree.optionCount[node]), flow: flows[index], reward: exp(logRewards[index]),
        logProbability: logProbability, residual: residual, runningResidual: running)
    }
  }
}

// MARK: - JSON

extension Explanation {
  /// What `--json` prints: the numbers of the table, a step for each token.
  public var json: JSON {
    [
      "title": JSON(title),
      "history": JSON(history.map { JSON($0) }),
      "personal": JSON(isPersonal),
      "probability": JSON(probability),
      "target": JSON(target),
      "steps": JSON(
        steps.map { step in
          [
            "token": JSON(step.token), "text": JSON(step.text), "options": JSON(step.options), "flow": JSON(step.flow),
            "reward": JSON(step.reward), "probability": JSON(exp(step.logProbability)),
            "residual": JSON(step.residual), "running_residual": JSON(step.runningResidual),
          ]
        }),
    ]
  }
}

// MARK: - Text

extension Explanation {
  /// The steps for the terminal, at most 80 columns: a row for each choice, and one for the forced tokens between two.
  public var table: String {
    let heading =
      history.isEmpty ? title : "\(title), after \(history.count == 1 ? "one title" : "\(history.count) titles")"
    let rows = [["(start)", "", "1", "", "", "", ""]] + runs.map(row)
    let header = ["token", "options", "flow F", "reward r", "policy π", "ln π/r", "sum"]
    return """
      \(TextTable.cut(TextTable.printable(heading), to: 80))
      \(isPersonal ? "Flow: rewards for this history" : "Flow: rewards that are the same for everybody").

      \(TextTable(header: header, rows: rows).lines.joined(separator: "\n"))

      Probability \(Self.percent(probability)), target \(Self.percent(target)): \(comparison)
      """
  }

  /// Steps that share a row: a choice alone, forced ones in a row together; the end is always alone.
  private var runs: [ArraySlice<Step>] {
    var runs: [ArraySlice<Step>] = []
    for index in steps.indices {
      let joins = steps[index].isForced && index + 1 < steps.count && runs.last?.last?.isForced == true
      if joins {
        runs[runs.count - 1] = steps[runs.last!.startIndex...index]
      } else {
        runs.append(steps[index...index])
      }
    }
    return runs
  }

  private func row(_ run: ArraySlice<Step>) -> [String] {
    let last = run.last!
    let text = run.endIndex == steps.count ? "(end)" : run.map(\.text).joined().quoted
    let sum = Self.signed(last.runningResidual)
    let flow = NumberText.short(last.flow)
    if last.isForced { return [text, "forced", flow, "", "", "", sum] }
    return [
      text, String(last.options), flow, NumberText.short(last.reward), NumberText.short(exp(last.logProbability)),
      Self.signed(last.residual), sum,
    ]
  }

  private var comparison: String {
    let ratio = probability / target
    guard target > 0, ratio.isFinite else { return "it should never be written." }
    if abs(log(ratio)) < 0.005 { return "as often as it should be." }
    return ratio >= 1
      ? "\(NumberText.short(ratio)) times as often as it should be."
      : "\(NumberText.short(1 / ratio)) times too seldom."
  }

  private static func percent(_ share: Double) -> String { "\(NumberText.short(100 * share)) %" }

  private static func signed(_ value: Double) -> String {
    value.isFinite ? String(format: "%+.3f", value) : NumberText.short(value)
  }
}
