import Foundation

/// The mean difference of two methods over the same examples and seeds, with a 95 % interval that is meant for other
/// users *and* other seeds.
///
/// Examples of one user resemble each other, so users are the units. With d the difference of one example under one
/// seed, a user effect, a seed effect and their interaction add up:
///
///     Var(mean) = σ²_users/U + σ²_seeds/S + σ²_both/(U S)
///
/// The spread of users whose seeds are averaged estimates the first and the third part, the spread of seeds whose users
/// are averaged the second and the third, the residuals the third alone: the first two less the third (no less than
/// the first) is the variance, by the method of moments for crossed effects (Searle, Casella & McCulloch 1992;
/// clusters of unequal size weighted as in Cameron, Gelbach & Miller 2011, "Robust Inference With Multiway
/// Clustering"), and Satterthwaite's formula (1946) gives its degrees of freedom. With one seed the interval speaks of
/// other users alone.
public struct PairedDifference: Equatable, Sendable {
  public let interval: MeanInterval
  public let users: Int
  public let seeds: Int

  /// - Parameters:
  ///   - differences: what the first method gains over the second; shape [seeds][examples], neither empty.
  ///   - users: number of examples of each user, in their order; shape [users].
  init(_ differences: [[Double]], users: [Int]) {
    precondition(
      !differences.isEmpty
        && differences.allSatisfy { $0.count == users.reduce(0, +) && !$0.isEmpty })
    self.users = users.count
    seeds = differences.count
    let n = Double(differences[0].count)
    let (u, s) = (Double(users.count), Double(seeds))
    let seedMeans = differences.map { $0.reduce(0, +) / n }
    let mean = seedMeans.reduce(0, +) / s
    guard users.count > 1 else {
      interval = MeanInterval(mean: mean, halfWidth: nil)
      return
    }
    // Sums over each user's examples of what is above the mean; shape [seeds][users].
    let excess = differences.map { row in
      var start = 0
      return users.map { size in
        defer { start += size }
        return row[start..<start + size].reduce(0) { $0 + ($1 - mean) }
      }
    }
    let userExcess = users.indices.map { user in excess.reduce(0) { $0 + $1[user] } / s }
    let ofUsers = u / (u - 1) * userExcess.reduce(0) { $0 + $1 * $1 } / (n * n)
    var (variance, degrees) = (ofUsers, u - 1)
    if seeds > 1 {
      let ofSeeds = seedMeans.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (s * (s - 1))
      var squares = 0.0
      for (row, seedMean) in zip(excess, seedMeans) {
        for (user, size) in users.enumerated() {
          let residual = row[user] - userExcess[user] - Double(size) * (seedMean - mean)
          squares += residual * residual
        }
      }
      let ofBoth = u / (u - 1) * s / (s - 1) * squares / (n * n * s * s)
      if ofSeeds > ofBoth {
        variance = ofUsers + ofSeeds - ofBoth
        let spread =
          ofUsers * ofUsers / (u - 1) + ofSeeds * ofSeeds / (s - 1) + ofBoth * ofBoth
          / ((u - 1) * (s - 1))
        degrees = max(variance * variance / spread, 1)
      }
    }
    interval = MeanInterval(
      mean: mean, halfWidth: StudentT.quantile(0.975, degrees: degrees) * variance.squareRoot())
  }
}
