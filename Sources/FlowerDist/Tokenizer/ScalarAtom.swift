/// What character classes are made of: the general category, with white space apart from the other controls and
/// alphabetic symbols (`Ⓐ`) apart from the other symbols. So `\p{…}`, `\s`, `\d` and `\w` are all sets of atoms.
///
/// Categories are those of the Swift runtime's Unicode version; characters assigned later than another library's
/// tables may differ there.
enum ScalarAtom: UInt8, CaseIterable, Sendable {
  case lu, ll, lt, lm, lo, mn, mc, me, nd, nl, no, pc, pd, ps, pe, pi, pf, po, sm, sc, sk, so, zs, zl, zp
  case cc, cf, cs, co, cn
  case whiteSpaceControl, alphabeticSymbol

  init(_ scalar: UInt32) {
    self =
      scalar < UInt32(Self.table.count) ? Self.table[Int(scalar)] : ScalarAtom(slow: Unicode.Scalar(scalar) ?? "\0")
  }

  /// The first two planes, which hold all but rare ideographs.
  private static let table: [ScalarAtom] = (0..<0x2_0000).map { scalar in
    Unicode.Scalar(scalar).map { ScalarAtom(slow: $0) } ?? .cs
  }

  private init(slow scalar: Unicode.Scalar) {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter: self = .lu
    case .lowercaseLetter: self = .ll
    case .titlecaseLetter: self = .lt
    case .modifierLetter: self = .lm
    case .otherLetter: self = .lo
    case .nonspacingMark: self = .mn
    case .spacingMark: self = .mc
    case .enclosingMark: self = .me
    case .decimalNumber: self = .nd
    case .letterNumber: self = .nl
    case .otherNumber: self = .no
    case .connectorPunctuation: self = .pc
    case .dashPunctuation: self = .pd
    case .openPunctuation: self = .ps
    case .closePunctuation: self = .pe
    case .initialPunctuation: self = .pi
    case .finalPunctuation: self = .pf
    case .otherPunctuation: self = .po
    case .mathSymbol: self = .sm
    case .currencySymbol: self = .sc
    case .modifierSymbol: self = .sk
    case .otherSymbol: self = scalar.properties.isAlphabetic ? .alphabeticSymbol : .so
    case .spaceSeparator: self = .zs
    case .lineSeparator: self = .zl
    case .paragraphSeparator: self = .zp
    case .control: self = scalar.properties.isWhitespace ? .whiteSpaceControl : .cc
    case .format: self = .cf
    case .surrogate: self = .cs
    case .privateUse: self = .co
    case .unassigned: self = .cn
    @unknown default: self = .cn
    }
  }

  /// A set of atoms.
  struct Mask: OptionSet, Hashable, Sendable {
    let rawValue: UInt32

    static let all = Mask(rawValue: .max)
    static let letter: Mask = [.init(.lu), .init(.ll), .init(.lt), .init(.lm), .init(.lo)]
    static let mark: Mask = [.init(.mn), .init(.mc), .init(.me)]
    static let decimal = Mask(.nd)
    static let number: Mask = [.decimal, .init(.nl), .init(.no)]
    static let punctuation: Mask = [
      .init(.pc), .init(.pd), .init(.ps), .init(.pe), .init(.pi), .init(.pf), .init(.po),
    ]
    static let symbol: Mask = [.init(.sm), .init(.sc), .init(.sk), .init(.so), .init(.alphabeticSymbol)]
    static let separator: Mask = [.init(.zs), .init(.zl), .init(.zp)]
    static let control: Mask = [.init(.cc), .init(.whiteSpaceControl)]
    static let other: Mask = [.control, .init(.cf), .init(.cs), .init(.co), .init(.cn)]
    /// `\s`: all separators are white space.
    static let space: Mask = [.separator, .init(.whiteSpaceControl)]
    /// `\w`: Alphabetic, marks, decimals and connectors; all letters and letter numbers are alphabetic.
    static let word: Mask = [.letter, .mark, .decimal, .init(.nl), .init(.pc), .init(.alphabeticSymbol)]

    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ atom: ScalarAtom) { rawValue = 1 << UInt32(atom.rawValue) }

    func contains(_ atom: ScalarAtom) -> Bool { rawValue >> UInt32(atom.rawValue) & 1 != 0 }

    /// A general category by its short or long name (`Lu`, `Uppercase_Letter`), as regular expressions write it: case,
    /// spaces, `_` and `-` do not count.
    init?(category name: String) {
      let plain = name.lowercased().filter { $0 != "_" && $0 != "-" && $0 != " " }
      guard let mask = Self.categories[plain] else { return nil }
      self = mask
    }

    private static let categories: [String: Mask] = {
      var masks: [String: Mask] = [
        "any": .all, "l": .letter, "letter": .letter, "m": .mark, "mark": .mark, "n": .number, "number": .number,
        "p": .punctuation, "punctuation": .punctuation, "s": .symbol, "symbol": .symbol, "z": .separator,
        "separator": .separator, "c": .other, "other": .other, "cc": .control, "control": .control,
        "so": [.init(.so), .init(.alphabeticSymbol)], "othersymbol": [.init(.so), .init(.alphabeticSymbol)],
      ]
      let long: [(String, ScalarAtom)] = [
        ("uppercaseletter", .lu), ("lowercaseletter", .ll), ("titlecaseletter", .lt), ("modifierletter", .lm),
        ("otherletter", .lo), ("nonspacingmark", .mn), ("spacingmark", .mc), ("enclosingmark", .me),
        ("decimalnumber", .nd), ("letternumber", .nl), ("othernumber", .no), ("connectorpunctuation", .pc),
        ("dashpunctuation", .pd), ("openpunctuation", .ps), ("closepunctuation", .pe), ("initialpunctuation", .pi),
        ("finalpunctuation", .pf), ("otherpunctuation", .po), ("mathsymbol", .sm), ("currencysymbol", .sc),
        ("modifiersymbol", .sk), ("spaceseparator", .zs), ("lineseparator", .zl), ("paragraphseparator", .zp),
        ("format", .cf), ("surrogate", .cs), ("privateuse", .co), ("unassigned", .cn),
      ]
      for (name, atom) in long {
        masks[name] = Mask(atom)
        masks["\(atom)"] = Mask(atom)
      }
      return masks
    }()
  }
}

/// What the published split patterns tell apart: `\p{L}`, `\p{N}`, `\s` and the rest.
enum ScalarKind: UInt8, Sendable {
  case letter, number, space, other

  init(_ scalar: UInt32) {
    self = Self.kinds[Int(ScalarAtom(scalar).rawValue)]
  }

  private static let kinds: [ScalarKind] = ScalarAtom.allCases.map { atom in
    if ScalarAtom.Mask.letter.contains(atom) { return .letter }
    if ScalarAtom.Mask.number.contains(atom) { return .number }
    return ScalarAtom.Mask.space.contains(atom) ? .space : .other
  }
}

extension Span<UInt8> {
  /// The character that begins at `start` of valid UTF-8, and where it ends.
  func scalar(at start: Int) -> (value: UInt32, end: Int) {
    let first = UInt32(self[start])
    func continuation(_ offset: Int) -> UInt32 { UInt32(self[start + offset] & 0x3F) }
    if first < 0x80 { return (first, start + 1) }
    if first < 0xE0 { return ((first & 0x1F) << 6 | continuation(1), start + 2) }
    if first < 0xF0 { return ((first & 0x0F) << 12 | continuation(1) << 6 | continuation(2), start + 3) }
    let high = (first & 0x07) << 18 | continuation(1) << 12
    return (high | continuation(2) << 6 | continuation(3), start + 4)
  }

  /// Where the character begins that ends at `end` of valid UTF-8; `end` is not 0.
  func scalarStart(before end: Int) -> Int {
    var start = end - 1
    while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }
}
