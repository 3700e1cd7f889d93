/// Balance losses of generative flow networks over the residuals of trajectories.
///
/// With residuals d_1…d_m of a trajectory and c_t = d_1 + … + d_t (c_0 = 0). All sums in double precision, linear in m.
public enum BalanceLoss: Equatable, Sendable {
  /// Σ_{p<q} λ^{q-p-1} (c_q − c_p)² / Σ_{p<q} λ^{q-p-1} (Madan et al. 2023, "Learning GFlowNets from partial episodes").
  case subTrajectory(lambda: Double)
  /// c_m² (Malkin et al. 2022, "Trajectory balance").
  case trajectory
  /// The mean of d_t² (Bengio et al. 2021, "GFlowNet foundations").
  case detailed
  /// (c_m − mean over the prompt's trajectories)², the mean without gradient (Richter et al. 2020, VarGrad).
  case logVariance

  /// Losses of the trajectories of one prompt, and their derivatives by each residual.
  public func evaluate(_ residuals: [[Double]]) -> (losses: [Double], gradients: [[Double]]) {
    var losses: [Double] = []
    var gradients: [[Double]] = []
    let ends = residuals.map { $0.reduce(0, +) }
    let mean = ends.reduce(0, +) / Double(max(ends.count, 1))
    for (index, d) in residuals.enumerated() {
      switch self {
      case .subTrajectory(let lambda):
        let (loss, gradient) = Self.subTrajectory(d, lambda: lambda)
        losses.append(loss)
        gradients.append(gradient)
      case .trajectory:
        losses.append(ends[index] * ends[index])
        gradients.append([Double](repeating: 2 * ends[index], count: d.count))
      case .detailed:
        losses.append(d.reduce(0) { $0 + $1 * $1 } / Double(d.count))
        gradients.append(d.map { 2 * $0 / Double(d.count) })
      case .logVariance:
        let distance = ends[index] - mean
        losses.append(distance * distance)
        gradients.append([Double](repeating: 2 * distance, count: d.count))
      }
    }
    return (losses, gradients)
  }

  /// With A_q = Σ_{p<q} λ^{q-p-1}, B_q = Σ_{p<q} λ^{q-p-1} c_p and C_q likewise with c_p², the pieces that end at q are
  /// A c_q² − 2 B c_q + C, and each sum follows from the one before: X_{q+1} = λ X_q + x_q.
  ///
  /// With λ above 1 these would grow beyond every number. Since only ratios count, every weight is then divided by that of
  /// the whole trajectory, λ^{m-1}: what is left is μ^p · μ^{m-q} with μ = 1/λ, a factor of where the piece begins and one
  /// of where it ends, and the sums are X_{q+1} = X_q + μ^q x_q.
  private static func subTrajectory(_ d: [Double], lambda: Double) -> (Double, [Double]) {
    let m = d.count
    var c = [0.0]
    for residual in d { c.append(c.last! + residual) }
    let carried = min(lambda, 1)
    var powers = [1.0]
    for _ in 0..<m { powers.append(powers.last! / max(lambda, 1)) }
    var byEnd = [Double](repeating: 0, count: m + 1)
    var loss = 0.0
    var total = 0.0
    var (a, b, squares) = (0.0, 0.0, 0.0)
    for q in 1...m {
      let (begin, end) = (powers[q - 1], powers[m - q])
      a = carried * a + begin
      b = carried * b + begin * c[q - 1]
      squares = carried * squares + begin * (c[q - 1] * c[q - 1])
      loss += end * (a * c[q] * c[q] - 2 * b * c[q] + squares)
      byEnd[q] += end * (a * c[q] - b)
      total += end * a
    }
    (a, b) = (0, 0)
    for p in stride(from: m - 1, through: 0, by: -1) {
      let end = powers[m - p - 1]
      a = carried * a + end
      b = carried * b + end * c[p + 1]
      byEnd[p] += powers[p] * (a * c[p] - b)
    }
    // d_t moves every c_q with q >= t.
    var gradient = [Double](repeating: 0, count: m)
    var sum = 0.0
    for t in stride(from: m, through: 1, by: -1) {
      sum += byEnd[t]
      gradient[t - 1] = 2 * sum / total
    }
    return (loss / total, gradient)
  }
}
