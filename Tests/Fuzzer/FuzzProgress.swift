import FlowerDist
import Foundation

/// The number of the case that a worker is at, in memory that outlives it: a mapped file of eight bytes.
struct FuzzProgress {
  private let number: UnsafeMutablePointer<Int>

  init(path: String) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0, ftruncate(descriptor, 8) == 0 else {
      throw FlowerError(.cannotWrite, "cannot write \(path)")
    }
    defer { close(descriptor) }
    guard let mapping = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), mapping != MAP_FAILED else {
      throw FlowerError(.cannotWrite, "cannot map \(path)")
    }
    number = mapping.bindMemory(to: Int.self, capacity: 1)
  }

  func begin(_ number: Int) { self.number.pointee = number }

  var current: Int { number.pointee }
}
