/// A day of the Gregorian calendar, written `2018-11-01`.
public struct CalendarDay: Equatable, Sendable, CustomStringConvertible {
  public let description: String
  /// Of its first moment in UTC.
  public let secondsSince1970: Double

  /// - Returns: `nil` for what is no day from 1000 to 9999.
  public init?(_ text: String) {
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard parts.map(\.count) == [4, 2, 2], parts.joined().allSatisfy(digits.contains) else { return nil }
    let numbers = parts.map { $0.reduce(0) { 10 * $0 + Int($1 - digits.lowerBound) } }
    let (year, month, day) = (numbers[0], numbers[1], numbers[2])
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard year >= 1000, 1...12 ~= month, 1...lengths[month - 1] ~= day else { return nil }
    let before = year - 1
    let days = 365 * before + before / 4 - before / 100 + before / 400 + lengths[..<(month - 1)].reduce(0, +) + day - 1
    description = text
    // 719,162 days from the first of January of year 1 to that of 1970.
    secondsSince1970 = Double(days - 719_162) * 86_400
  }
}
