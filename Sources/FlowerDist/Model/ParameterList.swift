/// Named tensors one after the other in a flat arena, without gaps.
public struct ParameterList: Equatable, Sendable {
  public struct Parameter: Equatable, Sendable {
    /// Hugging Face's name, e.g. `model.layers.0.self_attn.q_proj.weight`.
    public var name: String
    /// `[output, input]` for weights, `[width]` for norms and biases.
    public var shape: [Int]
    public var offset: Int
    public var count: Int
    public var range: Range<Int> { offset..<offset + count }
    /// Whether weight decay applies: to matrices, not to norms and biases.
    public var decays: Bool { shape.count > 1 }
  }

  /// In arena order.
  public private(set) var parameters: [Parameter] = []
  /// Number of floats.
  public private(set) var count = 0

  /// Adds a tensor and returns its offset.
  mutating func append(_ name: String, _ shape: [Int]) -> Int {
    let offset = count
    let size = shape.reduce(1, *)
    parameters.append(Parameter(name: name, shape: shape, offset: offset, count: size))
    count += size
    return offset
  }
}
