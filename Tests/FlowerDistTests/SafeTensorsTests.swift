import Glibc
import Testing

@testable import FlowerDist

private func littleEndian(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

/// A safetensors file of this header and that many bytes of data.
private func safetensors(_ header: String, data: Int) -> [UInt8] {
  littleEndian(UInt64(header.utf8.count)) + header.utf8 + [UInt8](repeating: 0, count: data)
}

private func tensor(
  _ name: String = "a", dtype: String = #""F32""#, shape: String = "[1]", offsets: String = "[0,4]"
) -> String {
  #""\#(name)":{"dtype":\#(dtype),"shape":\#(shape),"data_offsets":\#(offsets)}"#
}

struct SafeTensorsHeaderTests {
  struct Hostile: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var file: [UInt8]
    var message: String

    init(_ description: String, _ file: [UInt8], _ message: String) {
      (testDescription, self.file, self.message) = (description, file, message)
    }

    init(_ description: String, _ header: String, data: Int = 4, _ message: String) {
      self.init(description, safetensors(header, data: data), message)
    }
  }

  static let good = "{\(tensor())}"

  static let hostile: [Hostile] = [
    Hostile("empty file", [], "at least 8"),
    Hostile("seven bytes", [1, 0, 0, 0, 0, 0, 0], "at least 8"),
    Hostile("no header", littleEndian(0), "expected 1 to 0"),
    Hostile("header length 0", littleEndian(0) + [0x7b, 0x7d], "expected 1 to 2"),
    Hostile("header past the end", littleEndian(3) + [0x7b, 0x7d], "expected 1 to 2"),
    Hostile("header length 2^64 - 1", littleEndian(.max) + Array(good.utf8), "header has 18446744073709551615 bytes"),
    Hostile("header length 2^63", littleEndian(1 << 63) + Array(good.utf8), "header has 9223372036854775808 bytes"),
    Hostile("space before the object", " " + good, "does not start with {"),
    Hostile("array", "[]", data: 0, "does not start with {"),
    Hostile("byte-order mark", "\u{FEFF}" + good, "does not start with {"),
    Hostile("UTF-16 with a mark", littleEndian(6) + [0xff, 0xfe, 0x7b, 0, 0x7d, 0], "does not start with {"),
    Hostile("UTF-16, big-endian", littleEndian(4) + [0, 0x7b, 0, 0x7d], "does not start with {"),
    Hostile("UTF-16", littleEndian(4) + [0x7b, 0, 0x7d, 0], "something else than spaces"),
    Hostile("invalid UTF-8", littleEndian(8) + [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x7b, 0x7d, 0x7d], "UTF-8"),
    Hostile("overlong UTF-8", littleEndian(9) + [0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x7b, 0x7d, 0x7d], "UTF-8"),
    Hostile("newline after the object", good + "\n", "something else than spaces"),
    Hostile("second object", good + good, "expected the end"),
    Hostile("zero byte after the object", good + "\0", "something else than spaces"),
    Hostile("not closed", String(good.dropLast()), "expected , or }"),
    Hostile("trailing comma", "{\(tensor()),}", "expected a key"),
    Hostile("key twice", "{\(tensor()),\(tensor())}", "occurs twice"),
    Hostile("key twice, once escaped", "{\(tensor()),\(tensor(#"\u0061"#))}", "occurs twice"),
    Hostile("metadata twice", #"{"__metadata__":{},"__metadata__":{},\#(tensor())}"#, "occurs twice"),
    Hostile(
      "field twice", #"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "occurs twice"),
    Hostile(
      "field twice in place of another", #"{"a":{"dtype":"F32","shape":[1],"shape":[1]}}"#, "occurs twice"),
    Hostile("tab after the object", good + "\t", "something else than spaces"),
    Hostile("tensor is a list", #"{"a":[]}"#, "expected the fields"),
    Hostile("tensor is null", #"{"a":null}"#, "expected the fields"),
    Hostile("field missing", #"{"a":{"dtype":"F32","shape":[1]}}"#, "expected the fields"),
    Hostile("field too many", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"b":0}}"#, "expected the fields"),
    Hostile("field misspelt", #"{"a":{"dtype":"F32","shape":[1],"offsets":[0,4]}}"#, "expected the fields"),
    Hostile(
      "name that leaves the line", "{\(tensor(#"a\n\u001b"#, dtype: #""F4""#))}", #"tensor "a\n\u001b": unknown"#),
    Hostile("endless name", "{\(tensor(String(repeating: "a", count: 100_000), dtype: "1"))}", "aaa…\": dtype is no"),
    Hostile("endless shape", "{\(tensor(shape: "[2\(String(repeating: ",2", count: 100_000))]"))}", "overflows"),
    Hostile("unknown dtype", "{\(tensor(dtype: #""F4""#))}", #"unknown dtype "F4""#),
    Hostile("lower-case dtype", "{\(tensor(dtype: #""f32""#))}", "unknown dtype"),
    Hostile("dtype no string", "{\(tensor(dtype: "32"))}", "dtype is no string"),
    Hostile("negative extent", "{\(tensor(shape: "[-1]"))}", "shape"),
    Hostile("two negative extents", "{\(tensor(shape: "[-1,-1]"))}", "shape"),
    Hostile("minus zero", "{\(tensor(shape: "[-0]", offsets: "[0,0]"))}", data: 0, "shape"),
    Hostile("fractional extent", "{\(tensor(shape: "[1.0]"))}", "shape"),
    Hostile("extent with exponent", "{\(tensor(shape: "[1e0]"))}", "shape"),
    Hostile("extent as text", "{\(tensor(shape: #"["1"]"#))}", "shape"),
    Hostile("shape no list", "{\(tensor(shape: "1"))}", "shape"),
    Hostile("extent of 2^63", "{\(tensor(shape: "[9223372036854775808]"))}", "shape"),
    Hostile("size overflows", "{\(tensor(shape: "[4294967296,4294967296]"))}", "overflows"),
    Hostile("size overflows by the element", "{\(tensor(shape: "[4611686018427387904]"))}", "overflows"),
    Hostile("size wraps to 4", "{\(tensor(dtype: #""U8""#, shape: "[6148914691236517206,12]"))}", "overflows"),
    Hostile("one offset", "{\(tensor(offsets: "[4]"))}", "data_offsets"),
    Hostile("three offsets", "{\(tensor(offsets: "[0,4,4]"))}", "data_offsets"),
    Hostile("begin after end", "{\(tensor(offsets: "[4,0]"))}", "data_offsets"),
    Hostile("negative offset", "{\(tensor(offsets: "[-4,0]"))}", "data_offsets"),
    Hostile("fractional offset", "{\(tensor(offsets: "[0.0,4]"))}", "data_offsets"),
    Hostile("offset of 2^64", "{\(tensor(offsets: "[0,18446744073709551616]"))}", "data_offsets"),
    Hostile("size too small for the shape", "{\(tensor(shape: "[2]"))}", "span 4 bytes"),
    Hostile("size too large for the shape", "{\(tensor(offsets: "[0,8]"))}", data: 8, "span 8 bytes"),
    Hostile("hole in front", "{\(tensor(offsets: "[4,8]"))}", data: 8, "a hole"),
    Hostile("hole", "{\(tensor()),\(tensor("b", offsets: "[8,12]"))}", data: 12, "a hole"),
    Hostile("overlap", "{\(tensor()),\(tensor("b", offsets: "[2,6]"))}", data: 6, "an overlap"),
    Hostile("same bytes twice", "{\(tensor()),\(tensor("b"))}", "an overlap"),
    Hostile("empty tensor inside", "{\(tensor()),\(tensor("b", shape: "[0]", offsets: "[2,2]"))}", "an overlap"),
    Hostile("trailing bytes", good, data: 5, "describes 4 bytes of tensors, the file has 5"),
    Hostile("data missing", good, data: 3, "describes 4 bytes of tensors, the file has 3"),
    Hostile("offsets near 2^63", "{\(tensor(offsets: "[9223372036854775803,9223372036854775807]"))}", "a hole"),
    Hostile("no tensors but data", "{}", "describes 0 bytes"),
    Hostile("metadata no object", #"{"__metadata__":"pt",\#(tensor())}"#, "__metadata__"),
    Hostile("metadata of numbers", #"{"__metadata__":{"format":1},\#(tensor())}"#, "__metadata__"),
    Hostile(
      "deep nesting", #"{"a":"# + String(repeating: "[", count: 200_000) + String(repeating: "]", count: 200_000) + "}",
      "nested deeper"),
  ]

  @Test(arguments: hostile)
  func refuses(_ hostile: Hostile) throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write(hostile.file, "model.safetensors")
    let error = flowerError { _ = try SafeTensorsReader(path: path) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix(path) == true)
    #expect(error?.description.contains(hostile.message) == true, "\(error?.description ?? "accepted")")
  }

  /// A sparse file: the header's length must be refused before that much is allocated.
  @Test func headerLongerThanAllowed() throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write(littleEndian(100_000_001) + Array(Self.good.utf8), "model.safetensors")
    #expect(truncate(path, 200_000_000) == 0)
    #expect(
      flowerError { _ = try SafeTensorsReader(path: path) }?.description.contains("expected 1 to 100000000") == true)
  }

  /// Every prefix of a good file is refused, and none crashes.
  @Test func truncatedAnywhere() throws {
    let scratch = try ScratchDirectory()
    let file = safetensors("{\(tensor()),\(tensor("b", offsets: "[4,8]"))}", data: 8)
    for count in 0..<file.count {
      let path = try scratch.write(Array(file[..<count]), "model.safetensors")
      #expect(throws: FlowerError.self) { try SafeTensorsReader(path: path) }
    }
  }

  @Test(arguments: [
    ("{\(tensor())}   ", 4, ["a"]),
    ("{}", 0, []),
    (#"{"__metadata__":{"format":"pt"},\#(tensor())}"#, 4, ["a"]),
    ("{\(tensor("b", offsets: "[4,8]")),\(tensor())}", 8, ["a", "b"]),
    ("{\(tensor()),\(tensor("e", shape: "[0]", offsets: "[0,0]"))}", 4, ["e", "a"]),
    ("{\(tensor()),\(tensor("e", shape: "[3,0]", offsets: "[4,4]"))}", 4, ["a", "e"]),
    ("{\(tensor(shape: "[]"))}", 4, ["a"]),
    (#"{ "a" : { "shape":[1], "data_offsets":[ 0 , 4 ], "dtype":"I32" } }"#, 4, ["a"]),
  ])
  func accepts(header: String, data: Int, names: [String]) throws {
    let scratch = try ScratchDirectory()
    let reader = try SafeTensorsReader(path: scratch.write(safetensors(header, data: data), "model.safetensors"))
    #expect(reader.tensors.map(\.name) == names)
  }
}

struct SafeTensorsConversionTests {
  @Test(
    arguments: [
      (0x0000, 0), (0x3f80, 1), (0xc049, -3.140625), (0x0080, 0x1p-126), (0x0001, 0x1p-133), (0x807f, -0x7fp-133),
      (0x7f7f, 0x1.fep127), (0x7f80, .infinity), (0xff80, -.infinity),
    ] as [(UInt16, Float)])
  func bfloat16(bits: UInt16, value: Float) {
    #expect(SafeTensors.float(bfloat16: bits) == value)
    #expect(SafeTensors.bfloat16(value) == bits)
  }

  @Test func bfloat16Zeros() {
    #expect(SafeTensors.float(bfloat16: 0x8000).bitPattern == 0x8000_0000)
    #expect(SafeTensors.bfloat16(-0.0) == 0x8000)
  }

  @Test(
    arguments: [
      (0x3f80_7fff, 0x3f80), (0x3f80_8000, 0x3f80), (0x3f80_8001, 0x3f81), (0x3f81_8000, 0x3f82),  // ties to even
      (0x3fff_ffff, 0x4000), (0x7f7f_ffff, 0x7f80),  // carries into the exponent, and to infinity
      (0x0000_8001, 0x0001), (0x0000_8000, 0x0000),  // subnormals
      (0x7f80_0001, 0x7fc0), (0xffff_ffff, 0xffff),  // a NaN in the lower bits stays one
    ] as [(UInt32, UInt16)])
  func bfloat16Rounding(bits: UInt32, rounded: UInt16) {
    #expect(SafeTensors.bfloat16(Float(bitPattern: bits)) == rounded)
  }

  /// All values, against the definition in IEEE 754.
  @Test func float16() {
    for bits in UInt16.min...UInt16.max {
      let value = SafeTensors.float(float16: bits)
      let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 1023))
      let scale = exponent == 0 ? 0x1p-24 : (0..<exponent).reduce(0x1p-25) { scale, _ in scale * 2 }
      let magnitude = (exponent == 0 ? fraction : 1024 + fraction) * scale
      if exponent == 31 {
        if fraction != 0 ? !value.isNaN : value.magnitude != .infinity { Issue.record("\(bits) is \(value)") }
      } else if Double(value.magnitude) != magnitude {
        Issue.record("\(bits) is \(value), expected \(magnitude)")
      }
      if value.sign != (bits < 0x8000 ? .plus : .minus) { Issue.record("\(bits) has the wrong sign") }
    }
  }
}

struct SafeTensorsFileTests {
  /// Values of all kinds, an empty tensor at each place, two names that Unicode calls equal, parts written singly.
  @Test func roundTrip() throws {
    let scratch = try ScratchDirectory()
    let path = scratch("model.safetensors")
    let (composed, decomposed) = ("\u{e9}", "e\u{301}")
    let values: [Float] = [1, -0.5, .leastNonzeroMagnitude, .infinity, -0.0, 3.4e38]
    var writer = try SafeTensorsWriter(
      path: path,
      tensors: [
        .init(name: "empty", dtype: .f32, shape: [0, 5]),
        .init(name: composed, dtype: .f32, shape: [2, 3]),
        .init(name: "none", dtype: .u8, shape: [0]),
        .init(name: decomposed, dtype: .bf16, shape: [3]),
        .init(name: "cursor", dtype: .i64, shape: []),
        .init(name: "end", dtype: .f32, shape: [0]),
      ], metadata: ["format": "pt", "step": "7"])
    try values[..<2].withUnsafeBufferPointer { try writer.write($0) }
    try values[2...].withUnsafeBytes { try writer.write($0) }
    try [1.0, -2.0, 0.5].withUnsafeBufferPointer { (halves: UnsafeBufferPointer<Float>) in try writer.write(halves) }
    try withUnsafeBytes(of: Int64(-3).littleEndian) { try writer.write($0) }
    try writer.finish()

    let reader = try SafeTensorsReader(path: path)
    #expect(
      reader.tensors.map { Array($0.name.utf8) }
        == ["empty", composed, "none", decomposed, "cursor", "end"].map { Array($0.utf8) })
    #expect(reader.tensors[0].range.lowerBound % 8 == 0)
    #expect(reader.metadata("step") == "7")
    #expect(reader["absent"] == nil)

    var read = [Float](repeating: 9, count: 6)
    try read.withUnsafeMutableBufferPointer { try reader.read(reader.tensor(composed, shape: [2, 3]), into: $0) }
    #expect(read.map(\.bitPattern) == values.map(\.bitPattern))
    var halves = [Float](repeating: 9, count: 3)
    try halves.withUnsafeMutableBufferPointer { try reader.read(reader.tensor(decomposed, shape: [3]), into: $0) }
    #expect(halves == [1, -2, 0.5])
    var cursor: Int64 = 0
    try withUnsafeMutableBytes(of: &cursor) { try reader.read(reader.tensor("cursor", shape: []), into: $0) }
    #expect(Int64(littleEndian: cursor) == -3)
  }

  @Test func readsHalves() throws {
    let scratch = try ScratchDirectory()
    let header =
      "{\(tensor("h", dtype: #""F16""#, shape: "[5]", offsets: "[0,10]")),"
      + "\(tensor("b", dtype: #""BF16""#, shape: "[1,1]", offsets: "[10,12]"))}"
    let words: [UInt16] = [0x3c00, 0xc000, 0x0001, 0x7c00, 0x8000, 0x4049]
    let data = words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let path = try scratch.write(safetensors(header, data: 0) + data, "model.safetensors")
    let reader = try SafeTensorsReader(path: path)
    var values = [Float](repeating: 9, count: 5)
    try values.withUnsafeMutableBufferPointer { try reader.read(reader.tensor("h", shape: [5]), into: $0) }
    #expect(values.map(\.bitPattern) == ([1, -2, 0x1p-24, .infinity, -0.0] as [Float]).map(\.bitPattern))
    var value = [Float](repeating: 9, count: 1)
    try value.withUnsafeMutableBufferPointer { try reader.read(reader.tensor("b", shape: [1, 1]), into: $0) }
    #expect(value == [3.140625])
  }

  @Test func refusesOtherShapesAndTypes() throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write(safetensors("{\(tensor(dtype: #""I32""#))}", data: 4), "model.safetensors")
    let reader = try SafeTensorsReader(path: path)
    let shape = flowerError { _ = try reader.tensor("a", shape: [1, 1]) }
    #expect(shape?.description == #"\#(path): tensor "a" has shape [1], expected [1, 1]"#)
    #expect(flowerError { _ = try reader.tensor("b", shape: [1]) }?.description == #"\#(path): has no tensor "b""#)
    var value: [Float] = [0]
    let dtype = flowerError {
      try value.withUnsafeMutableBufferPointer { try reader.read(reader.tensor("a", shape: [1]), into: $0) }
    }
    #expect(dtype?.description == #"\#(path): tensor "a" is I32, expected F32, BF16 or F16"#)
  }

  /// The file shrinks after its header was read.
  @Test func truncatedWhileOpen() throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write(safetensors("{\(tensor())}", data: 4), "model.safetensors")
    let reader = try SafeTensorsReader(path: path)
    truncate(path, 20)
    var value: [Float] = [0]
    let error = flowerError {
      try value.withUnsafeMutableBufferPointer { try reader.read(reader.tensors[0], into: $0) }
    }
    #expect(error?.kind == .data)
  }

  @Test func fullDisk() {
    let error = flowerError { _ = try SafeTensorsWriter(path: "/dev/full", tensors: []) }
    #expect(error?.kind == .cannotWrite)
    #expect(error?.description == "cannot write /dev/full: No space left on device")
  }
}

struct ModelWeightsTests {
  @discardableResult
  private func shard(
    _ scratch: ScratchDirectory, _ file: String, _ name: String, _ value: Float
  ) throws -> String {
    var writer = try SafeTensorsWriter(path: scratch(file), tensors: [.init(name: name, dtype: .f32, shape: [1])])
    try [value].withUnsafeBufferPointer { try writer.write($0) }
    try writer.finish()
    return scratch(file)
  }

  private func value(_ weights: ModelWeights, _ name: String, shape: [Int] = [1]) throws -> Float {
    var value: [Float] = [0]
    try value.withUnsafeMutableBufferPointer { try weights.read(name, shape: shape, into: $0) }
    return value[0]
  }

  @Test func oneFile() throws {
    let scratch = try ScratchDirectory()
    try shard(scratch, "model.safetensors", "a", 2)
    let weights = try ModelWeights(directory: scratch.path)
    #expect(weights.names == ["a"])
    #expect(try value(weights, "a") == 2)
    #expect(throws: FlowerError.self) { try value(weights, "b") }
    #expect(throws: FlowerError.self) { try value(weights, "a", shape: [1, 1]) }
  }

  @Test func shards() throws {
    let scratch = try ScratchDirectory()
    try shard(scratch, "model-00001-of-00002.safetensors", "a", 2)
    try shard(scratch, "model-00002-of-00002.safetensors", "b", 3)
    try scratch.write(
      #"{"metadata":{"total_size":8},"weight_map":{"b":"model-00002-of-00002.safetensors","#
        + #""a":"model-00001-of-00002.safetensors"}}"#, "model.safetensors.index.json")
    let weights = try ModelWeights(directory: scratch.path)
    #expect(weights.names == ["b", "a"])
    #expect(try value(weights, "a") == 2)
    #expect(try value(weights, "b") == 3)
    #expect(weights["c"] == nil)
  }

  @Test(arguments: [
    (#"{"metadata":{}}"#, "weight_map"),
    (#"{"weight_map":{"a":1}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":"../model/x.safetensors"}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":"/x.safetensors"}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":"x.safetensors\u0000.safetensors"}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":"config.json"}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":"y.safetensors"}}"#, "y.safetensors: No such file or directory"),
    (#"{"weight_map":{"a":"x.safetensors\n.safetensors"}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":"\#(String(repeating: "x", count: 250)).safetensors"}}"#, "name of a safetensors file"),
    (#"{"weight_map":{"a":".safetensors"}}"#, "name of a safetensors file"),
    (#"{"weight_map":[]}"#, "weight_map"),
    (#"{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}"#, "occurs twice"),
  ])
  func hostileIndex(index: String, message: String) throws {
    let scratch = try ScratchDirectory()
    try shard(scratch, "x.safetensors", "a", 2)
    try scratch.write(index, "model.safetensors.index.json")
    let error = flowerError { _ = try ModelWeights(directory: scratch.path) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  // MARK: Stale indices

  private func index(_ scratch: ScratchDirectory, _ map: KeyValuePairs<String, String>) throws {
    let members = map.map { JSON.Member($0.key, .string($0.value)) }
    try scratch.write(
      JSON.object([JSON.Member("weight_map", .object(members))]).serialized(), "model.safetensors.index.json")
  }

  /// A whole model beside an index, whether the index's files are there or gone.
  @Test func wholeModelComesBeforeIndex() throws {
    let scratch = try ScratchDirectory()
    try shard(scratch, "model.safetensors", "a", 2)
    try index(scratch, ["a": "gone.safetensors", "b": "gone.safetensors"])
    #expect(try value(ModelWeights(directory: scratch.path), "a") == 2)
    try shard(scratch, "gone.safetensors", "a", 3)
    #expect(try value(ModelWeights(directory: scratch.path), "a") == 2)
    try scratch.write("no JSON", "model.safetensors.index.json")
    #expect(try value(ModelWeights(directory: scratch.path), "a") == 2)
  }

  /// Files tell which tensors there are: one that the index leaves out, says elsewhere, or has too many.
  @Test func filesCountMoreThanIndex() throws {
    let scratch = try ScratchDirectory()
    try shard(scratch, "x.safetensors", "a", 2)
    try shard(scratch, "y.safetensors", "b", 3)
    try index(scratch, ["a": "y.safetensors", "old": "x.safetensors"])
    let weights = try ModelWeights(directory: scratch.path)
    #expect(weights.names == ["b", "a"])
    #expect(try value(weights, "a") == 2)
    #expect(try value(weights, "b") == 3)
    let missing = flowerError { _ = try value(weights, "old") }
    #expect(missing?.description == #"\#(scratch("model.safetensors.index.json")): there is no tensor "old""#)
  }

  @Test func indexDecidesBetweenFiles() throws {
    let scratch = try ScratchDirectory()
    for (file, value) in [("x", 2), ("y", 3), ("z", 4)] as [(String, Float)] {
      try shard(scratch, "\(file).safetensors", "a", value)
    }
    try index(scratch, ["a": "y.safetensors", "b": "x.safetensors", "c": "z.safetensors"])
    let weights = try ModelWeights(directory: scratch.path)
    #expect(weights.names == ["a"])
    #expect(try value(weights, "a") == 3)

    try index(scratch, ["b": "x.safetensors", "c": "z.safetensors"])
    let error = flowerError { _ = try ModelWeights(directory: scratch.path) }
    let (x, z) = (scratch("x.safetensors"), scratch("z.safetensors"))
    #expect(error?.description.hasPrefix("\(z): has tensor \"a\", and so has \(x); expected ") == true)
  }

  /// Keys of the index are told apart by bytes, as tensors are.
  @Test func canonicallyEqualNames() throws {
    let scratch = try ScratchDirectory()
    try shard(scratch, "x.safetensors", "\u{E9}", 2)
    try shard(scratch, "y.safetensors", "e\u{301}", 3)
    try index(scratch, ["\u{E9}": "x.safetensors", "e\u{301}": "y.safetensors"])
    let weights = try ModelWeights(directory: scratch.path)
    #expect(try value(weights, "\u{E9}") == 2)
    #expect(try value(weights, "e\u{301}") == 3)
  }

  @Test(arguments: [Float.nan, -.nan, .infinity, -.infinity])
  func notFinite(_ bad: Float) throws {
    let scratch = try ScratchDirectory()
    let file = try shard(scratch, "model.safetensors", "a", bad)
    let error = flowerError { _ = try value(ModelWeights(directory: scratch.path), "a") }
    #expect(error?.kind == .data)
    #expect(error?.description == "\(file): tensor \"a\" holds a number that is not finite")
    try shard(scratch, "model.safetensors", "a", -.greatestFiniteMagnitude)
    #expect(try value(ModelWeights(directory: scratch.path), "a") == -.greatestFiniteMagnitude)
  }

  @Test func noWeights() throws {
    let scratch = try ScratchDirectory()
    let error = flowerError { _ = try ModelWeights(directory: scratch.path) }
    #expect(error?.description == "cannot read \(scratch("model.safetensors")): No such file or directory")
  }
}

/// Weights against the configuration beside them.
struct ModelCheckTests {
  private static let configuration = ModelConfiguration(
    architecture: .qwen2, vocabularySize: 5, hiddenSize: 4, layers: 1, heads: 2, kvHeads: 1, headDim: 2,
    intermediateSize: 3, attentionBias: true, tieEmbeddings: true, ropeTheta: 1e4, rmsNormEps: 1e-6)

  /// A tensor with a value at every place.
  private struct Filled {
    var entry: SafeTensors.Entry
    var value: Float = 0.5
  }

  /// The tensors of the model, of three types in turn; -1.75 is a number of all three.
  private static var tensors: [Filled] {
    ParameterLayout(configuration).parameters.enumerated().map { index, parameter in
      Filled(
        entry: .init(name: parameter.name, dtype: [.f32, .bf16, .f16][index % 3], shape: parameter.shape),
        value: -1.75 - Float(index))
    }
  }

  private func write(_ tensors: [Filled], _ scratch: ScratchDirectory, _ file: String = "model.safetensors") throws {
    var writer = try SafeTensorsWriter(path: scratch(file), tensors: tensors.map(\.entry))
    for tensor in tensors {
      for _ in 0..<tensor.entry.shape.reduce(1, *) {
        switch tensor.entry.dtype {
        case .f32: try withUnsafeBytes(of: tensor.value.bitPattern.littleEndian) { try writer.write($0) }
        case .bf16: try withUnsafeBytes(of: SafeTensors.bfloat16(tensor.value).littleEndian) { try writer.write($0) }
        case .f16: try withUnsafeBytes(of: Float16(tensor.value).bitPattern.littleEndian) { try writer.write($0) }
        default: try [UInt8](repeating: 0, count: tensor.entry.dtype.size).withUnsafeBytes { try writer.write($0) }
        }
      }
    }
    try writer.finish()
  }

  private func check(
    _ tensors: [Filled], _ configuration: ModelConfiguration = Self.configuration
  ) throws -> FlowerError? {
    let scratch = try ScratchDirectory()
    try write(tensors, scratch)
    return flowerError { try ModelWeights(directory: scratch.path).check(ParameterLayout(configuration)) }
  }

  @Test func threeTypesInOneModel() throws {
    let scratch = try ScratchDirectory()
    try write(Array(Self.tensors[..<5]), scratch, "x.safetensors")
    try write(Array(Self.tensors[5...]), scratch, "y.safetensors")
    try scratch.write(
      #"{"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}"#, "model.safetensors.index.json")
    let weights = try ModelWeights(directory: scratch.path)
    let transformer = Transformer(Self.configuration)
    try weights.check(transformer.layout)
    try transformer.readWeights(weights)
    for (index, parameter) in transformer.layout.parameters.enumerated() {
      #expect(transformer.weights.view(parameter.range).allSatisfy { $0 == -1.75 - Float(index) })
    }
  }

  @Test func extraTensors() throws {
    func refusal(_ name: String) throws -> String? {
      try check(Self.tensors + [Filled(entry: .init(name: name, dtype: .f32, shape: [1]))])?.description
    }
    for name in ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq", "v_head.summary.weight"] {
      #expect(try refusal(name) == nil)
    }
    for name in [
      "model.layers.1.input_layernorm.weight", "model.layers.0.self_attn.o_proj.bias", "lm_head.bias", "model.x",
      "model.layers.0.mlp.up_proj.qweight", "model.layers.0.self_attn.q_norm.weight",
    ] {
      #expect(try refusal(name)?.contains("tensor \(name.quoted) has no place in the model") == true)
    }
  }

  @Test func tiedOutputEmbedding() throws {
    let head = { (type: SafeTensors.DType, shape: [Int], value: Float) in
      Filled(entry: .init(name: "lm_head.weight", dtype: type, shape: shape), value: value)
    }
    #expect(try check(Self.tensors + [head(.f32, [5, 4], -1.75)]) == nil)
    #expect(try check(Self.tensors + [head(.f32, [5, 4], -1.5)])?.description.contains("tie_word_embeddings") == true)
    #expect(try check(Self.tensors + [head(.bf16, [5, 4], -1.75)])?.description.contains("not equal") == true)
    #expect(try check(Self.tensors + [head(.f32, [4, 5], -1.75)])?.description.contains("has shape [4, 5]") == true)
    var untied = Self.configuration
    untied.tieEmbeddings = false
    #expect(try check(Self.tensors + [head(.bf16, [5, 4], 1)], untied) == nil)
    #expect(try check(Self.tensors, untied)?.description.contains(#"there is no tensor "lm_head.weight""#) == true)
  }

  @Test func missingTensors() throws {
    for index in Self.tensors.indices {
      var tensors = Self.tensors
      let name = tensors.remove(at: index).entry.name
      let message = try check(tensors)?.description
      #expect(message?.hasSuffix("model.safetensors: there is no tensor \(name.quoted)") == true)
    }
  }

  @Test(arguments: [SafeTensors.DType.f64, .i32, .u8, .bool])
  func otherTypes(dtype: SafeTensors.DType) throws {
    var tensors = Self.tensors
    tensors[3].entry.dtype = dtype
    #expect(try check(tensors)?.description.contains("is \(dtype.rawValue), expected F32, BF16 or F16") == true)
  }

  /// Sizes within the limits that ask for up to 2^50 bytes, beside a file of a few hundred.
  @Test func sizesThatTheFileDoesNotHave() throws {
    typealias Limit = ModelConfiguration.Limit
    let changes: [(inout ModelConfiguration) -> Void] = [
      { $0.vocabularySize = Limit.vocabularySize }, { $0.hiddenSize = Limit.hiddenSize },
      { $0.layers = Limit.layers }, { $0.intermediateSize = Limit.intermediateSize },
      { ($0.heads, $0.kvHeads) = (Limit.heads, Limit.heads) }, { $0.headDim = Limit.headDim },
    ]
    var all = Self.configuration
    for change in changes {
      var one = Self.configuration
      change(&one)
      change(&all)
      #expect(try check(Self.tensors, one)?.kind == .data)
    }
    #expect(try check(Self.tensors, all)?.kind == .data)
  }

  /// A sparse file that has them.
  @Test func moreThanTheMachineHas() throws {
    var large = Self.configuration
    (large.vocabularySize, large.hiddenSize) = (1 << 24, 1 << 16)
    let scratch = try ScratchDirectory()
    let path = scratch("model.safetensors")
    let entries = ParameterLayout(large).parameters.map {
      SafeTensors.Entry(name: $0.name, dtype: .bf16, shape: $0.shape)
    }
    // The writer writes the header when it is made.
    _ = try SafeTensorsWriter(path: path, tensors: entries)
    let size = try File(reading: path).size() + entries.reduce(0) { $0 + $1.byteCount! }
    // Some file systems have no files so large.
    guard truncate(path, size) == 0 else { return }
    let error = flowerError { try ModelWeights(directory: scratch.path).check(ParameterLayout(large)) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("not enough memory") == true)
  }
}
