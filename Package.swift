// swift-tools-version: 6.1
import PackageDescription

// The kernels are written with 8-wide vectors; these flags let the compiler keep one in one register. FLOWER_PORTABLE=1
// builds for CPUs of x86 without AVX2: the same bits, slowly.
#if arch(x86_64)
  let vectorFlags: [SwiftSetting] =
    Context.environment["FLOWER_PORTABLE"] == nil ? [.unsafeFlags(["-Xcc", "-mavx2", "-Xcc", "-mfma"])] : []
#else
  let vectorFlags: [SwiftSetting] = []
#endif

let package = Package(
  name: "FlowerDist",
  products: [.executable(name: "flower-worker", targets: ["flower-worker"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
  ],
  targets: [
    .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CVector"),
    .target(
      name: "FlowerDist",
      dependencies: [
        "CMPI", "COpenBLAS", "CCrypto", "CZlib", "CVector", .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: vectorFlags),
    .executableTarget(
      name: "flower-worker",
      dependencies: ["FlowerDist", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: vectorFlags),
    // A tool of the tests: a trap ends the process, so hostile files are read by one of its own.
    .executableTarget(
      name: "flower-fuzz",
      dependencies: ["FlowerDist", "CCrypto", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "Tests/Fuzzer", swiftSettings: vectorFlags),
    .testTarget(
      name: "FlowerDistTests", dependencies: ["FlowerDist"],
      resources: [.copy("Fixtures")], swiftSettings: vectorFlags),
    .testTarget(
      name: "LaunchTests",
      dependencies: ["FlowerDist", .product(name: "Subprocess", package: "swift-subprocess")],
      swiftSettings: vectorFlags),
  ]
)
