/// The header of a safetensors file, checked as if it came from an enemy: what passes describes tensors that fill the
/// file's data exactly, in order, without holes or overlaps.
struct SafeTensorsHeader {
  /// In the order of their bytes.
  var tensors: [SafeTensors.Tensor]
  var metadata: [(key: String, value: String)] = []

  /// - Parameters:
  ///   - header: the JSON text.
  ///   - dataSize: bytes after the header.
  ///   - path: the file, for messages.
  init(_ header: [UInt8], dataSize: Int, path: String) throws {
    let problem = { (what: String) in FlowerError(.data, "\(path): the safetensors header \(what)") }
    guard header.first == UInt8(ascii: "{") else { throw problem("does not start with {") }
    // JSON allows any white space at the end, the format only spaces.
    guard header.last(where: { $0 != UInt8(ascii: " ") }) == UInt8(ascii: "}") else {
      throw problem("has something else than spaces after the closing }")
    }
    guard case .object(let members) = try JSON(parsing: header, file: path) else { throw problem("is not an object") }

    tensors = []
    for member in members {
      if Array(member.key.utf8) == Array("__metadata__".utf8) {
        metadata = try Self.metadata(member.value, problem)
      } else {
        tensors.append(try Self.tensor(member, problem))
      }
    }
    // An empty tensor goes before the one that begins at the same byte.
    tensors.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    var end = 0
    for tensor in tensors {
      guard tensor.range.lowerBound == end else {
        let fault = tensor.range.lowerBound < end ? "an overlap" : "a hole"
        throw problem("has \(fault) before tensor \(tensor.name.quoted): expected offset \(end)")
      }
      end = tensor.range.upperBound
    }
    guard end == dataSize else { throw problem("describes \(end) bytes of tensors, the file has \(dataSize)") }
    let start = 8 + header.count
    for index in tensors.indices {
      let range = tensors[index].range
      tensors[index].range = range.lowerBound + start..<range.upperBound + start
    }
  }

  private static func metadata(
    _ value: JSON, _ problem: (String) -> FlowerError
  ) throws -> [(key: String, value: String)] {
    guard case .object(let members) = value else { throw problem("has a __metadata__ that is no object") }
    return try members.map { member in
      guard case .string(let text) = member.value else {
        throw problem("has a __metadata__ whose \(member.key.quoted) is no string")
      }
      return (member.key, text)
    }
  }

  /// The range is relative to the data's start.
  private static func tensor(
    _ member: JSON.Member, _ problem: (String) -> FlowerError
  ) throws -> SafeTensors.Tensor {
    let name = member.key
    func wrong(_ what: String) -> FlowerError { problem("is wrong at tensor \(name.quoted): \(what)") }

    guard case .object(let fields) = member.value, fields.count == 3, let dtype = member.value["dtype"],
      let shape = member.value["shape"], let offsets = member.value["data_offsets"]
    else { throw wrong("expected the fields dtype, shape and data_offsets and no other") }
    guard case .string(let dtypeName) = dtype else { throw wrong("dtype is no string") }
    guard let dtype = SafeTensors.DType(rawValue: dtypeName) else { throw wrong("unknown dtype \(dtypeName.quoted)") }
    guard let shape = naturals(shape) else { throw wrong("shape is no list of non-negative integers") }
    guard let offsets = naturals(offsets), offsets.count == 2, offsets[0] <= offsets[1] else {
      throw wrong("data_offsets are not two non-negative integers [begin, end] with begin <= end")
    }
    guard let size = SafeTensors.Entry(name: name, dtype: dtype, shape: shape).byteCount else {
      throw wrong("the size of its shape overflows")
    }
    guard offsets[1] - offsets[0] == size else {
      throw wrong("data_offsets span \(offsets[1] - offsets[0]) bytes, its shape in \(dtypeName) has \(size)")
    }
    return SafeTensors.Tensor(name: name, dtype: dtype, shape: shape, range: offsets[0]..<offsets[1])
  }

  /// Integers written with digits only: no sign, fraction or exponent.
  private static func naturals(_ value: JSON) -> [Int]? {
    guard case .array(let elements) = value else { return nil }
    var numbers: [Int] = []
    for element in elements {
      guard case .number(let text) = element, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text)
      else { return nil }
      numbers.append(number)
    }
    return numbers
  }
}
