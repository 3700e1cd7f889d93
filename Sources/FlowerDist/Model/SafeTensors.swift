import CVector

/// The safetensors format: eight bytes with the length of a header, the header (JSON), the tensors' bytes.
/// Source: https://github.com/huggingface/safetensors.
public enum SafeTensors {
  /// Element types that are recognised; the raw value is the name in the header.
  public enum DType: String, CaseIterable, Sendable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case u16 = "U16"
    case i16 = "I16"
    case f16 = "F16"
    case bf16 = "BF16"
    case u32 = "U32"
    case i32 = "I32"
    case f32 = "F32"
    case u64 = "U64"
    case i64 = "I64"
    case f64 = "F64"

    /// Whether every value is one of `Float` too.
    var fitsFloat: Bool { self == .f32 || self == .bf16 || self == .f16 }

    /// Bytes of one element.
    public var size: Int {
      switch self {
      case .bool, .u8, .i8: 1
      case .u16, .i16, .f16, .bf16: 2
      case .u32, .i32, .f32: 4
      case .u64, .i64, .f64: 8
      }
    }
  }

  /// A tensor to be written: what it is called and what it looks like.
  public struct Entry: Equatable, Sendable {
    public var name: String
    public var dtype: DType
    /// Row-major; empty for a scalar.
    public var shape: [Int]

    public init(name: String, dtype: DType, shape: [Int]) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
    }

    /// Bytes of the tensor; `nil` if that overflows or an extent is negative.
    var byteCount: Int? {
      var count = dtype.size
      for extent in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: extent)
        guard extent >= 0, !overflow else { return nil }
        count = product
      }
      return count
    }
  }

  /// A tensor in a file.
  public struct Tensor: Equatable, Sendable {
    public var name: String
    public var dtype: DType
    public var shape: [Int]
    /// Position of its bytes in the file.
    public var range: Range<Int>

    public var elementCount: Int { range.count / dtype.size }
  }

  /// Longest header that is read, as in the reference implementation.
  static let maximumHeader = 100_000_000

  /// Exact: BF16 is the upper half of an fp32.
  static func float(bfloat16 bits: UInt16) -> Float {
    Float(bitPattern: UInt32(bits) << 16)
  }

  /// Exact. Subnormals are scaled by an exact product rather than read as bits, so a processor that flushes
  /// subnormals gives the same value.
  static func float(float16 bits: UInt16) -> Float {
    let exponent = UInt32(bits >> 10 & 0x1f)
    let fraction = UInt32(bits & 0x3ff)
    let magnitude: UInt32 =
      switch exponent {
      case 0: (Float(fraction) * 0x1p-24).bitPattern
      case 0x1f: 0x7f80_0000 | fraction << 13
      default: (exponent + 112) << 23 | fraction << 13
      }
    return Float(bitPattern: UInt32(bits & 0x8000) << 16 | magnitude)
  }

  /// Rounded to nearest, ties to even; a NaN stays one.
  static func bfloat16(_ value: Float) -> UInt16 {
    var bits: UInt16 = 0
    withUnsafePointer(to: value) { flower_to_bfloat16($0, &bits, 1) }
    return bits
  }
}
