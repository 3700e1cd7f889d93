/// A chart as plain values: two axes and what is drawn between them, in order.
struct Chart {
  var title: String
  var x: Axis
  var y: Axis
  var series: [Series]

  struct Axis {
    var label: String
    var scale: ChartScale
    /// Labels at 0, 1, 2, … in place of numbers.
    var categories: [String]? = nil
    /// Whether to point out at the label which end is the good one.
    var better: Metric.Direction? = nil
  }

  struct Series {
    var mark: Mark
    /// Colour and shape.
    var style: Style
    var points: [Point]
  }

  enum Mark: Equatable {
    /// Points joined by a line; a faint one is the background of another.
    case line(faint: Bool)
    /// One shape per point.
    case points(radius: Double)
    /// One bar per category, the `slot`-th of `count` beside each other.
    case bars(slot: Int, of: Int)
    /// A short level line over each category.
    case levels
    /// Nothing to see, only the hover text.
    case hover
  }

  struct Point {
    var x: Double
    var y: Double
    /// Half the length of an error bar in y.
    var error: Double? = nil
    /// Shown while the pointer rests on it.
    var note: String? = nil
    /// Written beside it.
    var label: String? = nil
  }

  /// Colours are told apart by readers who see few of them, and repeated by shape.
  enum Style: Equatable {
    /// The n-th method.
    case method(Int)
    /// The n-th line to compare with: hollow shapes.
    case reference(Int)
    /// The goal.
    case target

    static let colors = 6

    /// The style sheet's class of the colour.
    var cssClass: String {
      switch self {
      case .method(let index): "c\(index % Self.colors)"
      case .reference: "cref"
      case .target: "ctarget"
      }
    }
  }
}
