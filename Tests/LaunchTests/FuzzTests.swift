import Foundation
import Subprocess
import Testing

@testable import FlowerDist

extension LaunchTests {
  /// The fuzzer (docs/fuzzing.md) for about a minute, and whether it would find something.
  @Suite struct Fuzzing {
    private let program = Workspace.program.replacing("flower-worker", with: "flower-fuzz")

    private func fuzz(_ arguments: String...) async throws -> (code: TerminationStatus, lines: [Substring]) {
      guard File.exists(program) else {
        throw Workspace.Missing(
          description: "\(program) is missing: build it with swift build -c release -Xswiftc -enable-testing")
      }
      let result = try await Subprocess.run(
        .path(.init(program)), arguments: Arguments(arguments), input: .none, output: .string(limit: 1 << 20),
        error: .string(limit: 1 << 20))
      return (result.terminationStatus, result.standardOutput.split(separator: "\n"))
    }

    /// Every reader, on as many inputs as two slow cores read in a minute.
    @Test func findsNothing() async throws {
      let scratch = try Workspace()
      let (code, lines) = try await fuzz("--cases", "5000", "--slow-cases", "300", "--keep", scratch("findings"))
      #expect(code == .exited(0), "\(lines.joined(separator: "\n"))")
    }

    /// Headers of 1 to 100 MB made to take memory.
    @Test func largeHeaders() async throws {
      let scratch = try Workspace()
      let (code, lines) = try await fuzz("--target", "large", "--cases", "16", "--keep", scratch("findings"))
      #expect(code == .exited(0), "\(lines.joined(separator: "\n"))")
    }

    /// A reader with faults of all kinds: each is found, and its input kept.
    @Test func findsPlantedFaults() async throws {
      let scratch = try Workspace()
      let (code, lines) = try await fuzz("--target", "planted", "--cases", "40", "--keep", scratch("findings"))
      #expect(code == .exited(1))
      let output = lines.joined(separator: "\n")
      for problem in [
        "died of signal", "took more than", "bytes of memory", "names no file", "else than a FlowerError",
        "control characters",
      ] {
        #expect(output.contains(problem))
      }
      let again = try #require(lines.first { $0.contains("again: ") })
      let number = try #require(again.split(separator: " ").last)
      #expect(File.exists(scratch("findings/planted-1-\(number)/fault")))
    }

    /// The same inputs for the same seed, others for another.
    @Test func inputsAreRepeatable() async throws {
      let scratch = try Workspace()
      func digest(_ seed: String) async throws -> Substring? {
        let (_, lines) = try await fuzz(
          "--target", "model", "--seed", seed, "--cases", "200", "--keep", scratch("findings"))
        return lines.first?.split(separator: "digest ").last?.prefix(16)
      }
      let first = try await digest("3")
      #expect(first != nil)
      #expect(try await digest("3") == first)
      #expect(try await digest("4") != first)
    }
  }
}
