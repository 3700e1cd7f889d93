extension [String] {
  /// Each text once, in the order in which it is there first.
  var unique: [String] {
    var known = Set<String>()
    return filter { known.insert($0).inserted }
  }
}
