import FlowerDist

/// A safetensors file taken apart, so that its header, its data and the length between them can be changed alone or
/// together.
struct SafeTensorsImage {
  var header: JSON
  var data: [UInt8]

  init(header: JSON, data: [UInt8]) {
    self.header = header
    self.data = data
  }

  /// A file of these F32, BF16 or F16 tensors of small numbers, all finite.
  init(tensors: [SafeTensors.Entry], metadata: JSON = ["format": "pt"]) {
    var members = [JSON.Member("__metadata__", metadata)]
    data = []
    for (index, tensor) in tensors.enumerated() {
      let start = data.count
      for element in 0..<tensor.shape.reduce(1, *) {
        let value = Float((element * 7 + index) % 13) / 16 - 0.25
        switch tensor.dtype {
        case .f16: data += Self.littleEndian(Float16(value).bitPattern)
        case .bf16: data += Self.littleEndian(UInt16(value.bitPattern >> 16))
        case .f32: data += Self.littleEndian(value.bitPattern)
        default: data += [UInt8](repeating: UInt8(element & 1), count: tensor.dtype.size)
        }
      }
      members.append(
        JSON.Member(
          tensor.name,
          [
            "dtype": .string(tensor.dtype.rawValue), "shape": .array(tensor.shape.map { JSON($0) }),
            "data_offsets": [JSON(start), JSON(data.count)],
          ]))
    }
    header = .object(members)
  }

  /// - Parameter file: a file that is as it should be; others give `nil`.
  init?(_ file: [UInt8]) {
    guard file.count >= 8 else { return nil }
    let length = file[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(file.count - 8), let header = try? JSON(parsing: Array(file[8..<8 + Int(length)])) else {
      return nil
    }
    self.init(header: header, data: Array(file[(8 + Int(length))...]))
  }

  var bytes: [UInt8] {
    let text = header.serialized()
    return Self.littleEndian(UInt64(text.count)) + text + data
  }

  static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}

// MARK: - Damage

extension SafeTensorsImage {
  /// Damages a file.
  static func mutate(_ file: [UInt8], donor: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    guard var image = SafeTensorsImage(file), random.chance(7, in: 8) else {
      var bytes = file
      ByteMutation.apply(to: &bytes, donor: donor, &random)
      return bytes
    }
    var text: [UInt8]?
    switch random.below(6) {
    case 0:
      text = JSONMutation.apply(
        to: image.header.serialized(), donor: SafeTensorsImage(donor)?.header.serialized() ?? [], &random)
    case 1: image.changeData(&random)
    default: repeat { image.changeTensors(&random) } while random.chance(1, in: 4)
    }
    var header = text ?? image.header.serialized(pretty: random.chance(1, in: 16))
    if random.chance(1, in: 8) {
      let tails = ["       ", "\n", "\0", "{}", ",", " x", "\t"]
      header += Array(random.pick(tails).utf8)
    }
    return littleEndian(image.length(of: header, &random)) + header + image.data
  }

  /// The length that the file claims for its header: mostly the true one.
  private func length(of header: [UInt8], _ random: inout FuzzRandom) -> UInt64 {
    let count = UInt64(header.count)
    guard random.chance(1, in: 12) else { return count }
    let all = count + UInt64(data.count)
    let near: [UInt64] = [0, 1, 2, count / 2, count &- 1, count + 1, all, all + 1]
    let far: [UInt64] = [100_000_000, 100_000_001, 1 << 31, 1 << 32, 1 << 62, UInt64(Int.max), 1 << 63, .max - 7, .max]
    return random.pick(near + far)
  }

  private mutating func changeData(_ random: inout FuzzRandom) {
    switch random.below(4) {
    case 0: data.removeLast(random.below(data.count + 1))
    case 1: data += [UInt8](repeating: 0, count: 1 + random.length(1 << 12))
    case 2: data.removeFirst(random.below(data.count + 1))
    default:
      // Numbers that are not finite, in any of the widths.
      guard data.count >= 8 else { return }
      let bits: [UInt8] = random.pick([
        [0, 0, 0x80, 0x7F], [0, 0, 0xC0, 0x7F], [0, 0, 0x80, 0xFF], [0x00, 0x7C], [0x01, 0x7C],
        [0xFF, 0xFF, 0xFF, 0xFF],
      ])
      let place = random.below(data.count / 4) * 4
      data.replaceSubrange(place..<place + bits.count, with: bits)
    }
  }

  /// Changes what the header says of the tensors so that it still looks like a header: some results are valid files.
  private mutating func changeTensors(_ random: inout FuzzRandom) {
    guard var members = header.object, members.count > 1 else { return }
    let index = 1 + random.below(members.count - 1)
    let another = 1 + random.below(members.count - 1)
    var tensor = members[index].value
    let offsets = tensor["data_offsets"]?.array?.map { $0.int ?? 0 } ?? []
    let shape = tensor["shape"]?.array?.map { $0.int ?? 0 } ?? []
    func set(_ key: String, _ value: JSON) {
      tensor = tensor.object.map { .object($0.map { $0.key == key ? JSON.Member(key, value) : $0 }) } ?? tensor
    }
    func numbers(_ values: [Int]) -> JSON { .array(values.map { JSON($0) }) }

    switch random.below(12) {
    case 0 where offsets.count == 2:
      // One offset at the edge or off by a little.
      let edges = [0, 1, -1, 4, data.count, data.count + 1, 1 << 31, 1 << 53, .max, .max - 3]
      let value = random.chance(1, in: 2) ? random.pick(edges) : offsets[0] &+ random.below(9) &- 4
      set("data_offsets", random.chance(1, in: 2) ? numbers([value, offsets[1]]) : numbers([offsets[0], value]))
    case 1 where offsets.count == 2:
      // Shifted, the length kept: a hole and an overlap, or both far away.
      let shift = random.pick([-4, -1, 1, 2, 4, 8, data.count, 1 << 62])
      set("data_offsets", numbers(offsets.map { $0.addingReportingOverflow(shift).partialValue }))
    case 2:
      // Two tensors with the same bytes, or exchanged ones.
      let value = members[another].value
      if random.chance(1, in: 2) { members[another].value = tensor }
      tensor = value
    case 3:
      // Sizes whose product overflows, wraps to a small number, or is zero.
      set(
        "shape",
        numbers(
          random.pick([
            [1 << 32, 1 << 32], [1 << 62], [1 << 62, 0], [0, 1 << 62, 1 << 62], [6_148_914_691_236_517_206, 12],
            [-1, -1],
            [.max], [.max, 2], [1 << 31, 1 << 31, 2], [],
          ])))
    case 4:
      // The same number of elements in another shape.
      let count = shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
      set(
        "shape",
        numbers(random.pick([[count], [1, count], [count, 1], shape.reversed(), shape + [1], [1, 1, 1] + shape])))
    case 5:
      set("shape", numbers(shape.map { $0 &+ random.below(3) &- 1 }))
    case 6:
      set("dtype", .string(random.pick(SafeTensors.DType.allCases).rawValue))
    case 7 where offsets.count == 2:
      // Half as many bytes a number, twice as many numbers: valid.
      let (product, _) = (shape.first ?? 1).multipliedReportingOverflow(by: 2)
      set("dtype", .string(random.chance(1, in: 2) ? "BF16" : "F16"))
      set("shape", numbers([product] + shape.dropFirst()))
    case 8:
      // An empty tensor anywhere.
      let place = random.pick([0, offsets.first ?? 0, offsets.last ?? 0, data.count, data.count + 1])
      members.append(
        JSON.Member("empty\(place)", ["dtype": "F32", "shape": [0], "data_offsets": numbers([place, place])]))
    case 9:
      // One more tensor at the end, with its data: valid.
      let count = random.below(5)
      members.append(
        JSON.Member(
          "more", ["dtype": "U8", "shape": [JSON(count)], "data_offsets": numbers([data.count, data.count + count])]))
      data += [UInt8](repeating: 1, count: count)
    case 10: members[index].key = members[another].key
    default: members.remove(at: index)
    }
    if index < members.count, random.chance(15, in: 16) { members[index].value = tensor }
    if random.chance(1, in: 8) { members.swapAt(0, random.below(members.count)) }
    header = .object(members)
  }
}
