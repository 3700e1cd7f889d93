/// All rows in a directory and in those below it, a section for each directory that has some.
public struct ResultPage: Sendable {
  struct Section: Sendable {
    /// The directory's path below the page's; empty for that itself.
    var name: String
    var table: ResultTable
    var comparison: MethodComparison?
  }

  let sections: [Section]

  /// - Parameters:
  ///   - directory: of rows and of directories of rows, or a sweep's.
  ///   - compare: two methods whose differences are shown instead of the tables, in the sections that have both; or none.
  ///   - select: the metric that selects on the validation split, if it is not the usual one.
  /// - Throws: `FlowerError` if there is no row, or no section has the methods.
  public init(_ directory: String, compare: [String] = [], select: String? = nil) throws {
    var sections = try Self.sections(directory, name: "", select)
    guard !sections.isEmpty else {
      throw FlowerError(
        .data, "\(directory): expected rows of sweeps (.json) in it, or in directories in it")
    }
    if compare.count == 2 {
      var failure: FlowerError?
      sections = sections.compactMap { section in
        var section = section
        do {
          section.comparison = try section.table.comparison(compare[0], compare[1])
          return section
        } catch {
          failure = error as? FlowerError ?? failure
          return nil
        }
      }
      if let failure, sections.isEmpty { throw failure }
    }
    self.sections = sections
  }

  private static func sections(_ directory: String, name: String, _ select: String?) throws
    -> [Section]
  {
    let results = "\(directory)/results"
    let isSweep = Directory.isDirectory(results)
    let rows = try ResultRow.rows(in: isSweep ? results : directory)
    var sections =
      rows.isEmpty ? [] : [Section(name: name, table: ResultTable(rows, select: select))]
    // What else a sweep's directory has are runs.
    for inner in try isSweep ? [] : Directory.names(in: directory)
    where Directory.isDirectory("\(directory)/\(inner)") {
      sections += try Self.sections(
        "\(directory)/\(inner)", name: name.isEmpty ? inner : "\(name)/\(inner)", select)
    }
    return sections
  }

  public var markdown: String {
    sections.map { section in
      let title = section.name.isEmpty ? "" : "## \(section.name)\n\n"
      return title + (section.comparison?.text ?? section.table.markdown())
    }.joined(separator: "\n")
  }
}
