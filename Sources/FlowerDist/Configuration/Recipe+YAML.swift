extension Recipe {
  /// The resolved recipe with every default. Reading it gives an equal value.
  public var yaml: String {
    var lines: [String] = []
    var section: Substring?
    for field in RecipeField.all {
      if let name = field.section, name != section { lines.append("\(name):") }
      section = field.section
      lines.append((section == nil ? "" : "  ") + "\(field.name): \(field.yaml(self))")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
