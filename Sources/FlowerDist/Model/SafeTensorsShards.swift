extension SafeTensors {
  /// Bytes of tensors in a file of weights at most, as `transformers` 4 cut them.
  public static let maximumShard = 5_000_000_000

  /// Cuts tensors, in their order, into files of at most `maximum` bytes of data; one that is larger has a file of its own.
  /// There is one file at least.
  static func shards(_ tensors: [Entry], maximum: Int) -> [Range<Int>] {
    var shards = [0..<0]
    var size = 0
    for (index, tensor) in tensors.enumerated() {
      let bytes = tensor.byteCount!
      if size > 0 && bytes > maximum - size {
        shards.append(index..<index)
        size = 0
      }
      size += bytes
      shards[shards.count - 1] = shards.last!.lowerBound..<index + 1
    }
    return shards
  }

  /// The name of one of several files: `model-00001-of-00002.safetensors`.
  static func fileName(_ base: String, _ number: Int, of count: Int) -> String {
    func digits(_ n: Int) -> String { String(repeating: "0", count: max(0, 5 - String(n).count)) + String(n) }
    return "\(base)-\(digits(number))-of-\(digits(count)).safetensors"
  }
}
