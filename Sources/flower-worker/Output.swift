@preconcurrency import Glibc

enum Output {
  /// What is printed into mpirun's pipe would otherwise be lost when a rank is killed.
  static func bufferByLine() { setvbuf(stdout, nil, _IOLBF, 0) }
}
