import ArgumentParser

/// A length of time as people write it: `90s`, `45m`, `1h30m`, `2d`.
struct TimeSpan: ExpressibleByArgument {
  let seconds: Int

  private static let units: [Character: Int] = ["d": 86_400, "h": 3600, "m": 60, "s": 1]

  init?(argument: String) {
    var seconds = 0
    var digits = ""
    for character in argument {
      if character.isASCII, character.isNumber, digits.count < 6 {
        digits.append(character)
      } else {
        guard let unit = Self.units[character], let count = Int(digits) else { return nil }
        seconds += count * unit
        digits = ""
      }
    }
    guard digits.isEmpty, seconds > 0 else { return nil }
    self.seconds = seconds
  }
}
