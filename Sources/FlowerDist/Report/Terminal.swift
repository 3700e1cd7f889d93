import Foundation

/// The terminal that an output ends in.
enum Terminal {
  /// Its columns, 80 where it does not say; `nil` where there is none.
  ///
  /// Under mpirun rank zero always writes to a pseudo-terminal, whatever mpirun's own output is. Who starts mpirun knows,
  /// and says so in `FLOWER_COLUMNS`.
  static func width(of descriptor: Int32) -> Int? {
    if MPICommunicator.isLaunched {
      return ProcessInfo.processInfo.environment["FLOWER_COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    }
    guard isatty(descriptor) == 1 else { return nil }
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
