import Foundation

/// Writes training progress to standard output: one line rewritten in place in a terminal, plain lines elsewhere.
///
/// Every call is one `write`, so lines of a pipe arrive whole and at once.
public final class ProgressWriter {
  /// Steps that rates and ETA are taken over.
  private static let window = 50

  private let totalSteps: Int
  private let every: Int
  private let output: Int32
  private let width: () -> Int?
  private var recent: [StepLine] = []
  private var isLineOpen = false

  /// - Parameters:
  ///   - every: outside a terminal, a line every so many steps, and the last one.
  ///   - output: a file descriptor.
  ///   - width: columns of the terminal that the output ends in, `nil` for none, asked for at every step because windows
  ///     change; unless given, found out from the output.
  public init(totalSteps: Int, every: Int, output: Int32 = STDOUT_FILENO, width: (() -> Int?)? = nil) {
    self.totalSteps = totalSteps
    self.every = max(every, 1)
    self.output = output
    self.width = width ?? { Terminal.width(of: output) }
  }

  /// Shows a step.
  public func show(_ line: StepLine) {
    recent.append(line)
    if recent.count > Self.window { recent.removeFirst() }
    let progress = ProgressLine(line: line, totalSteps: totalSteps, rate: StepRate(recent))
    if let width = width() {
      write("\r\(progress.text(width: width - 1))\u{1B}[K")
      isLineOpen = true
    } else if line.step.isMultiple(of: every) || line.step == totalSteps {
      write(progress.text + "\n")
    }
  }

  /// Writes lines of their own, above the progress.
  public func note(_ text: String) {
    write((isLineOpen ? "\r\u{1B}[K" : "") + text + "\n")
    isLineOpen = false
  }

  /// Leaves the last progress line standing.
  public func finish() {
    if isLineOpen { write("\n") }
    isLineOpen = false
  }

  /// Progress that can not be written (a closed pipe, a full disk) is no reason to stop training.
  private func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(output, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }
}
