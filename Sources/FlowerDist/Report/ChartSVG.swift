/// Draws a `Chart` as one SVG element; colours come from the page's style sheet.
struct ChartSVG {
  private let chart: Chart
  private let width = 480.0
  private let height = 340.0
  private let left = 62.0
  private let right = 14.0
  private let top = 34.0
  private let bottom = 50.0
  private var elements: [String] = []

  init(_ chart: Chart) {
    self.chart = chart
    drawAxes()
    for series in chart.series { draw(series) }
    drawLabels()
  }

  var text: String {
    """
    <svg viewBox="0 0 \(Self.number(width)) \(Self.number(height))" role="img" \
    aria-label="\(HTML.escape(chart.title)): \(HTML.escape(chart.y.label)) by \(HTML.escape(chart.x.label))">
    \(elements.joined(separator: "\n"))
    </svg>
    """
  }

  /// The shape of a style as a picture of its own, for legends.
  static func key(_ style: Chart.Style, line: Bool = false) -> String {
    let shape =
      line
      ? "<path class=\"line\" d=\"M1 7H21\"/>" : Self.shape(style, x: 11, y: 7, radius: 4.5, note: nil)
    return "<svg class=\"key \(style.cssClass)\" viewBox=\"0 0 22 14\" aria-hidden=\"true\">\(shape)</svg>"
  }

  private func x(_ value: Double) -> Double { left + chart.x.scale.fraction(value) * (width - left - right) }
  private func y(_ value: Double) -> Double {
    height - bottom - chart.y.scale.fraction(value) * (height - top - bottom)
  }

  // MARK: Axes

  private mutating func drawAxes() {
    text(chart.title, x: left, y: 18, class: "charttitle")
    let floor = height - bottom
    for tick in chart.y.scale.ticks(about: 5) {
      let level = y(tick)
      elements.append(
        "<path class=\"grid\" d=\"M\(Self.number(left)) \(Self.number(level))H\(Self.number(width - right))\"/>")
      text(chart.y.scale.label(tick), x: left - 7, y: level + 4, class: "tick end")
    }
    elements.append(
      "<path class=\"axis\" d=\"M\(Self.number(left)) \(Self.number(floor))H\(Self.number(width - right))\"/>")
    let marks =
      chart.x.categories.map { $0.enumerated().map { (Double($0.offset), $0.element) } }
      ?? chart.x.scale.ticks(about: 6).map { ($0, chart.x.scale.label($0)) }
    for (value, label) in marks {
      if chart.x.categories == nil {
        elements.append("<path class=\"axis\" d=\"M\(Self.number(x(value))) \(Self.number(floor))v4\"/>")
      }
      text(label, x: x(value), y: floor + 18, class: "tick middle")
    }
    let arrow = { (better: Metric.Direction?, low: String, high: String) in
      switch better {
      case .lower: " (\(low) better)"
      case .higher: " (\(high) better)"
      case nil: ""
      }
    }
    text(
      chart.x.label + arrow(chart.x.better, "←", "→"), x: (left + width - right) / 2, y: height - 10,
      class: "axislabel middle")
    let (labelX, labelY) = (15.0, (top + floor) / 2)
    text(
      chart.y.label + arrow(chart.y.better, "←", "→"), x: labelX, y: labelY, class: "axislabel middle",
      transform: "rotate(-90 \(Self.number(labelX)) \(Self.number(labelY)))")
  }

  // MARK: Marks

  private mutating func draw(_ series: Chart.Series) {
    let points = series.points.filter { $0.x.isFinite && $0.y.isFinite }
    var parts: [String]
    switch series.mark {
    case .line(let faint):
      parts = [path(points, faint: faint)]
    case .points(let radius):
      parts = points.map { point in
        errorBar(point) + Self.shape(series.style, x: x(point.x), y: y(point.y), radius: radius, note: point.note)
      }
    case .bars(let slot, let count):
      parts = points.map { bar($0, slot: slot, of: count) }
    case .levels:
      let half = (x(1) - x(0)) * 0.44
      parts = points.map { point in
        let d = "M\(Self.number(x(point.x) - half)) \(Self.number(y(point.y)))h\(Self.number(2 * half))"
        return "<path class=\"level\" d=\"\(d)\">\(Self.title(point.note))</path>"
      }
    case .hover:
      parts = points.map { point in
        "<circle class=\"hover\" \(Self.center(x(point.x), y(point.y))) r=\"7\">\(Self.title(point.note))</circle>"
      }
    }
    parts.removeAll(where: \.isEmpty)
    elements.append("<g class=\"\(series.style.cssClass)\">\(parts.joined(separator: "\n"))</g>")
  }

  private func path(_ points: [Chart.Point], faint: Bool) -> String {
    guard points.count > 1 else { return "" }
    let corners = points.map { "\(Self.number(x($0.x))) \(Self.number(y($0.y)))" }
    return "<path class=\"\(faint ? "line faint" : "line")\" d=\"M\(corners.joined(separator: "L"))\"/>"
  }

  private func errorBar(_ point: Chart.Point) -> String {
    guard let error = point.error, error > 0, error.isFinite else { return "" }
    let (high, low) = (Self.number(y(point.y + error)), Self.number(y(point.y - error)))
    let centre = x(point.x)
    let caps = [high, low].map { "M\(Self.number(centre - 3)) \($0)h6" }.joined()
    return "<path class=\"error\" d=\"M\(Self.number(centre)) \(high)V\(low)\(caps)\"/>"
  }

  private func bar(_ point: Chart.Point, slot: Int, of count: Int) -> String {
    let room = (x(1) - x(0)) * 0.8
    let barWidth = room / Double(max(count, 1))
    let start = x(point.x) - room / 2 + barWidth * Double(slot)
    let (level, zero) = (y(point.y), y(0))
    return "<rect class=\"bar\" x=\"\(Self.number(start))\" y=\"\(Self.number(min(level, zero)))\""
      + " width=\"\(Self.number(max(barWidth - 1, 0.5)))\" height=\"\(Self.number(abs(zero - level)))\">"
      + "\(Self.title(point.note))</rect>"
  }

  private static func shape(_ style: Chart.Style, x: Double, y: Double, radius: Double, note: String?) -> String {
    let title = Self.title(note)
    let (index, kind) =
      switch style {
      case .method(let index): (index, "dot")
      case .reference(let index): (index, "dot hollow")
      case .target: (0, "dot")
      }
    let r = number(radius)
    switch index % 4 {
    case 0: return "<circle class=\"\(kind)\" \(center(x, y)) r=\"\(r)\">\(title)</circle>"
    case 1:
      let side = number(radius * 1.8)
      return "<rect class=\"\(kind)\" x=\"\(number(x - radius * 0.9))\" y=\"\(number(y - radius * 0.9))\""
        + " width=\"\(side)\" height=\"\(side)\">\(title)</rect>"
    case 2:
      let (half, high) = (radius * 1.15, radius * 1.1)
      let d = "M\(number(x)) \(number(y - high))L\(number(x + half)) \(number(y + high * 0.9))h\(number(-2 * half))Z"
      return "<path class=\"\(kind)\" d=\"\(d)\">\(title)</path>"
    default:
      let reach = radius * 1.3
      let d =
        "M\(number(x)) \(number(y - reach))l\(number(reach)) \(number(reach))"
        + "l\(number(-reach)) \(number(reach))l\(number(-reach)) \(number(-reach))Z"
      return "<path class=\"\(kind)\" d=\"\(d)\">\(title)</path>"
    }
  }

  // MARK: Labels beside points

  /// Writes each label at the first free place around its point, so that none covers a point or another label.
  private mutating func drawLabels() {
    let all = chart.series.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
    var taken = all.map { Box(x: x($0.x) - 6, y: y($0.y) - 6, width: 12, height: 12) }
    for point in all {
      guard let label = point.label else { continue }
      let shown = TextTable.cutInside(label, to: 26)
      // Text is measured by an average; the page has no font to ask.
      let (textWidth, textHeight) = (Double(shown.count) * 7.2 + 2, 13.0)
      let (px, py) = (x(point.x), y(point.y))
      let places = [
        (px + 9, py - 6.5), (px - 9 - textWidth, py - 6.5), (px - textWidth / 2, py - 24),
        (px - textWidth / 2, py + 10),
        (px + 9, py - 20), (px + 9, py + 7), (px - 9 - textWidth, py - 20), (px - 9 - textWidth, py + 7),
      ].map { Box(x: $0.0, y: $0.1, width: textWidth, height: textHeight) }
      let frame = Box(x: left + 1, y: top - 8, width: width - left - 2, height: height - top - bottom + 8)
      let place = places.first { place in frame.contains(place) && !taken.contains { $0.overlaps(place) } }
      guard let place else { continue }
      taken.append(place)
      // Anchored at its point, so that a wrong guess of the text's width grows away from it.
      let (anchor, name) =
        place.x > px ? (place.x, "") : place.x + textWidth < px ? (place.x + textWidth, " end") : (px, " middle")
      text(shown, x: anchor, y: place.y + 10.5, class: "pointlabel" + name)
    }
  }

  private struct Box {
    var x, y, width, height: Double

    func overlaps(_ other: Box) -> Bool {
      x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
    }

    func contains(_ other: Box) -> Bool {
      x <= other.x && other.x + other.width <= x + width && y <= other.y && other.y + other.height <= y + height
    }
  }

  // MARK: Text

  private mutating func text(_ text: String, x: Double, y: Double, class name: String, transform: String? = nil) {
    let turn = transform.map { " transform=\"\($0)\"" } ?? ""
    elements.append(
      "<text class=\"\(name)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\"\(turn)>\(HTML.escape(text))</text>")
  }

  private static func title(_ note: String?) -> String {
    note.map { "<title>\(HTML.escape($0))</title>" } ?? ""
  }

  private static func center(_ x: Double, _ y: Double) -> String { "cx=\"\(number(x))\" cy=\"\(number(y))\"" }

  /// One decimal is a tenth of a pixel.
  private static func number(_ value: Double) -> String {
    let tenths = (value * 10).rounded() / 10
    return tenths == tenths.rounded() ? String(Int(tenths)) : String(tenths)
  }
}
