import Foundation

/// A matrix of scores in a file: a row for each example of a split, a column for each item. It stays in the file; of the
/// rows that are asked for the system keeps in memory what there is room for.
struct ScoreTable: Sendable {
  private let file: MappedFile
  /// Where it is, for messages.
  private let place: String
  private let type: SafeTensors.DType
  private let start: Int
  private let columns: Int

  /// A whole `.npy` file.
  init(npy file: MappedFile, rows: Int, columns: Int) throws {
    let header = try NumPyHeader(file.bytes, path: file.path)
    let type: SafeTensors.DType
    switch header.type {
    case "<f4": type = .f32
    case "<f8": type = .f64
    default:
      throw FlowerError(
        .data, "\(file.path): holds elements \(header.type.quoted), expected \"<f4\" or \"<f8\" (float32 or float64)")
    }
    // A matrix of one row or column is the same in both orders.
    guard !header.isColumnMajor || rows == 1 || columns == 1 else {
      throw FlowerError(
        .data, "\(file.path): is in Fortran's order; save numpy.ascontiguousarray(scores), which is in C's")
    }
    try Self.check(header.shape, rows: rows, columns: columns, place: file.path)
    let bytes = SafeTensors.Entry(name: "", dtype: type, shape: header.shape).byteCount
    guard bytes == file.bytes.count - header.dataStart else {
      throw FlowerError(
        .data,
        "\(file.path): has \(file.bytes.count - header.dataStart) bytes of elements, its shape needs"
          + " \(bytes.map { "\($0)" } ?? "more than there can be")")
    }
    self.init(file: file, place: file.path, type: type, start: header.dataStart, columns: columns)
  }

  /// A tensor of a safetensors file, which `file` holds too.
  init(_ tensor: SafeTensors.Tensor, in file: MappedFile, rows: Int, columns: Int) throws {
    let place = "\(file.path): tensor \(tensor.name.quoted)"
    guard tensor.dtype == .f32 || tensor.dtype == .f64 else {
      throw FlowerError(.data, "\(place) is \(tensor.dtype.rawValue), expected F32 or F64")
    }
    try Self.check(tensor.shape, rows: rows, columns: columns, place: place)
    guard tensor.range.upperBound <= file.bytes.count else {
      throw FlowerError(.data, "\(file.path): was cut short while being read")
    }
    self.init(file: file, place: place, type: tensor.dtype, start: tensor.range.lowerBound, columns: columns)
  }

  private init(file: MappedFile, place: String, type: SafeTensors.DType, start: Int, columns: Int) {
    (self.file, self.place, self.type, self.start, self.columns) = (file, place, type, start, columns)
  }

  private static func check(_ shape: [Int], rows: Int, columns: Int, place: String) throws {
    guard shape == [rows, columns] else {
      let found = shape.count > 8 ? "\(shape.count) extents" : "\(shape)"
      throw FlowerError(
        .data, "\(place): has shape \(found), expected [\(rows), \(columns)], examples of the split by items")
    }
  }

  /// The numbers of a row as they are.
  func read(_ row: Int, into values: UnsafeMutableBufferPointer<Double>) {
    precondition(values.count == columns)
    let offset = start + row * columns * type.size
    if type == .f32 {
      for column in 0..<columns {
        let bits = file.bytes.loadUnaligned(fromByteOffset: offset + 4 * column, as: UInt32.self)
        values[column] = Double(Float(bitPattern: UInt32(littleEndian: bits)))
      }
    } else {
      for column in 0..<columns {
        let bits = file.bytes.loadUnaligned(fromByteOffset: offset + 8 * column, as: UInt64.self)
        values[column] = Double(bitPattern: UInt64(littleEndian: bits))
      }
    }
  }

  /// Looks at every number once.
  ///
  /// - Throws: `FlowerError` of kind `data` naming the first row that ``Recipe/Reward/ScoreValues/normalize(_:)`` could make
  ///   no distribution of.
  func check(rows: Int, _ values: Recipe.Reward.ScoreValues) throws {
    var numbers = [Double](repeating: 0, count: columns)
    for row in 0..<rows {
      numbers.withUnsafeMutableBufferPointer { read(row, into: $0) }
      if let column = numbers.firstIndex(where: { !values.allows($0) }) {
        throw FlowerError(
          .data, "\(place): row \(row), column \(column): found \(numbers[column]), expected \(values.expected)")
      }
      let sum = numbers.withUnsafeMutableBufferPointer { values.normalize($0) }
      guard sum.isFinite, sum > 0 else {
        throw FlowerError(.data, "\(place): row \(row): the sum of its probabilities is \(sum), expected one above 0")
      }
    }
  }
}

extension Recipe.Reward.ScoreValues {
  /// Completes "expected …".
  fileprivate var expected: String {
    self == .probabilities
      ? "a number of at least 0 (reward.score_values logits takes others)" : "a finite number, or -inf for no chance"
  }

  fileprivate func allows(_ value: Double) -> Bool {
    switch self {
    case .probabilities: value >= 0 && value < .infinity
    case .logits: value < .infinity
    }
  }

  /// Makes a distribution of a row's numbers: divided by their sum, or their softmax. The row's sum is returned, of
  /// exponentials relative to the largest.
  @discardableResult
  func normalize(_ values: UnsafeMutableBufferPointer<Double>) -> Double {
    if self == .logits {
      let largest = values.max() ?? 0
      for index in values.indices { values[index] = exp(values[index] - largest) }
    }
    let sum = values.reduce(0, +)
    for index in values.indices { values[index] /= sum }
    return sum
  }
}
