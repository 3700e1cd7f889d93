/// Low-rank adapters of a frozen model (Hu et al. 2022, "LoRA"): y = x · Wᵀ + (α / r) · (x · Aᵀ) · Bᵀ.
///
/// A starts random and B zero, so a new adapter changes nothing. Dropout is not implemented.
public final class Adapter {
  public struct Configuration: Equatable, Sendable, CustomStringConvertible {
    /// r, the width between A and B.
    public var rank: Int
    /// α; what the adapters add is multiplied by α / r.
    public var alpha: Double
    /// Modules of every layer that have one.
    public var targets: ModuleSet

    /// Largest rank that is accepted; no size overflows under it.
    static let rankLimit = 1 << 12
    static let alphaLimit = 1e6

    public init(rank: Int, alpha: Double, targets: ModuleSet) {
      self.rank = rank
      self.alpha = alpha
      self.targets = targets
    }

    var scale: Float { Float(alpha / Double(rank)) }

    public var description: String {
      "rank \(rank), alpha \(alpha), targets \(targets.yaml)"
    }
  }

  /// Offsets of one module's matrices in the arena.
  struct Slot {
    /// A, `[rank, input]`.
    var a: Int
    /// B, `[output, rank]`.
    var b: Int
  }

  public let configuration: Configuration
  /// PEFT's names.
  public let list: ParameterList
  public let weights: FloatArena
  /// By layer and module.
  private let slots: [[Module: Slot]]

  /// - Parameter weights: an arena for them, if there is one already.
  public init(_ configuration: Configuration, of model: ModelConfiguration, weights: FloatArena? = nil) {
    self.configuration = configuration
    (list, slots) = Self.layout(configuration, of: model)
    self.weights = weights ?? FloatArena(count: list.count)
    precondition(self.weights.count == list.count, "an arena of another size than the list")
  }

  /// Where the matrices of such adapters lie.
  static func layout(
    _ configuration: Configuration, of model: ModelConfiguration
  ) -> (list: ParameterList, slots: [[Module: Slot]]) {
    var list = ParameterList()
    let slots = (0..<model.layers).map { layer in
      Dictionary(
        uniqueKeysWithValues: configuration.targets.modules.map { module in
          let name = "base_model.model.model.layers.\(layer).\(module.path)"
          let width = module.width(model)
          return (
            module,
            Slot(
              a: list.append("\(name).lora_A.weight", [configuration.rank, width.input]),
              b: list.append("\(name).lora_B.weight", [width.output, configuration.rank]))
          )
        })
    }
    return (list, slots)
  }

  /// The offset of a layer's first matrix.
  func start(ofLayer layer: Int) -> Int { slots[layer].values.map(\.a).min()! }

  func slot(_ layer: Int, _ module: Module) -> Slot? { slots[layer][module] }

  /// A uniform in ±1/√input, B zero, as PEFT starts them.
  public func initialize(seed: UInt64) {
    weights.zero()
    for (index, parameter) in list.parameters.enumerated() where parameter.name.hasSuffix("lora_A.weight") {
      let random = CounterRandom(seed: seed, purpose: .initialAdapter, step: UInt32(index))
      let bound = 1 / Double(parameter.shape[1]).squareRoot()
      let view = weights.view(parameter.range)
      for i in view.indices { view[i] = Float((2 * random.uniform(UInt64(i)) - 1) * bound) }
    }
  }
}
