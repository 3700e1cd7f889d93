import Foundation

/// An event file of TensorBoard: TFRecords, each an `Event` message with numbers of one step.
struct EventFile {
  private(set) var bytes: [UInt8] = []

  /// - Parameter time: when the file begins, in seconds since 1970.
  init(time: Double) {
    append(Self.event(time: time, step: 0) { $0.text(3, "brain.Event:2") })
  }

  /// Adds numbers of a step. Their names are tags, grouped by what is before a `/`.
  mutating func add(_ scalars: [(tag: String, value: Double)], step: Int, time: Double) {
    append(
      Self.event(time: time, step: step) { event in
        event.message(5) { summary in
          for (tag, value) in scalars {
            summary.message(1) { entry in
              entry.text(1, tag)
              entry.float(2, Float(value))
            }
          }
        }
      })
  }

  private static func event(time: Double, step: Int, _ content: (inout Protobuf) -> Void) -> [UInt8] {
    var event = Protobuf()
    event.double(1, time)
    event.integer(2, step)
    content(&event)
    return event.bytes
  }

  /// A TFRecord: length, its checksum, the bytes, their checksum; numbers in little endian.
  private mutating func append(_ record: [UInt8]) {
    let length = littleEndian(UInt64(record.count))
    bytes += length + littleEndian(CRC32C.masked(length)) + record + littleEndian(CRC32C.masked(record))
  }
}

/// As much of the encoding of protocol buffers as events need.
private struct Protobuf {
  private enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
  }

  private(set) var bytes: [UInt8] = []

  mutating func double(_ field: UInt64, _ value: Double) {
    begin(field, .fixed64)
    bytes += littleEndian(value.bitPattern)
  }

  mutating func float(_ field: UInt64, _ value: Float) {
    begin(field, .fixed32)
    bytes += littleEndian(value.bitPattern)
  }

  /// Zero is left out, as in proto3.
  mutating func integer(_ field: UInt64, _ value: Int) {
    if value == 0 { return }
    begin(field, .varint)
    varint(UInt64(bitPattern: Int64(value)))
  }

  mutating func text(_ field: UInt64, _ value: String) { part(field, Array(value.utf8)) }

  mutating func message(_ field: UInt64, _ content: (inout Protobuf) -> Void) {
    var inner = Protobuf()
    content(&inner)
    part(field, inner.bytes)
  }

  private mutating func part(_ field: UInt64, _ content: [UInt8]) {
    begin(field, .lengthDelimited)
    varint(UInt64(content.count))
    bytes += content
  }

  private mutating func begin(_ field: UInt64, _ type: WireType) { varint(field << 3 | type.rawValue) }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest > 0x7F {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

// MARK: - Runs

extension RunRecord {
  /// The run's metrics for TensorBoard, `train/loss`, `validation/hr@10` and so on; times count from its start.
  var eventFile: EventFile {
    let start = started
    var file = EventFile(time: start)
    var validations = validations[...]
    for line in steps {
      let time = start + line.seconds
      var scalars = [("train/loss", line.loss)]
      if let loss = line.sftLoss { scalars.append(("train/sft_loss", loss)) }
      if let loss = line.flowLoss { scalars.append(("train/flow_loss", loss)) }
      scalars += [("train/grad_norm", line.gradNorm), ("train/learning_rate", line.learningRate)]
      file.add(scalars, step: line.step, time: time)
      while let validation = validations.first, validation.step <= line.step {
        file.add(validation.metrics.map { ("validation/\($0.name)", $0.value) }, step: validation.step, time: time)
        validations.removeFirst()
      }
    }
    return file
  }

  /// When the run began, in seconds since 1970; 0 where its environment does not say.
  private var started: Double {
    let text = environment?["started"]?.string
    return text.flatMap { try? Date($0, strategy: .iso8601) }?.timeIntervalSince1970 ?? 0
  }
}

extension Report {
  /// Writes an event file for each run, `DIRECTORY/RUN/events.out.tfevents.0.flowerdist`, in place of an earlier one.
  public func writeEvents(to directory: String) throws {
    for run in runs {
      let path = "\(directory)/\(run.name.split(separator: "/").joined(separator: "-"))"
      try Directory.create(path)
      try AtomicFile.write(run.eventFile.bytes, to: "\(path)/events.out.tfevents.0.flowerdist")
    }
  }
}
