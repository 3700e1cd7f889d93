import Foundation

/// Where a run runs: what environment.json keeps and the start table shows.
struct Environment {
  private let communicator: any Communicator
  private let catalogue: Catalogue
  private let arithmetic: Arithmetic
  private let cores: Int
  private let coresByRank: [Int]
  /// By rank: whether its CPU emulates the arithmetic.
  private let emulates: [Bool]

  /// Collective: every rank says how many cores it may use, and whether it is slow with the recipe's arithmetic.
  init(_ communicator: any Communicator, catalogue: Catalogue, _ arithmetic: Arithmetic) {
    self.communicator = communicator
    self.catalogue = catalogue
    self.arithmetic = arithmetic
    cores = ProcessInfo.processInfo.processorCount
    coresByRank = communicator.gather(Array(String(Self.allowedCores).utf8)).map {
      Int(String(decoding: $0, as: UTF8.self)) ?? 1
    }
    emulates = communicator.gather([arithmetic.isEmulated ? 1 : 0]).map { $0 == [1] }
  }

  /// Cores that this process may run on, from the mask that Linux shows.
  private static var allowedCores: Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }
    let bits = line?.dropFirst("Cpus_allowed:".count).compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount }
    return max(bits ?? 1, 1)
  }

  private var ranksByHost: [(host: String, ranks: Int)] {
    var result: [(host: String, ranks: Int)] = []
    for host in communicator.hosts {
      if let index = result.firstIndex(where: { $0.host == host }) {
        result[index].ranks += 1
      } else {
        result.append((host, 1))
      }
    }
    return result
  }

  var rows: [(key: String, value: String)] {
    let hosts = ranksByHost
    let shown = hosts.prefix(4).map { hosts.count == 1 ? $0.host : "\($0.host) (\($0.ranks))" }
    return [
      (
        "ranks",
        "\(communicator.size) on \(shown.joined(separator: ", "))\(hosts.count > 4 ? " and \(hosts.count - 4) more" : "")"
      ),
      ("threads", "\(Threads.count) per rank, \(arithmetic.onThisCPU), \(cores) cores on \(communicator.hosts[0])"),
    ]
  }

  /// Hosts whose CPU is slow with the recipe's arithmetic, and those whose ranks want more cores than they may use.
  var warnings: [String] {
    let slow = ranksByHost.map(\.host).filter { host in
      zip(communicator.hosts, emulates).contains { $0 == host && $1 }
    }
    return slow.map { arithmetic.warning($0) } + ranksByHost.compactMap { host, ranks in
      let allowed = communicator.hosts.indices.filter { communicator.hosts[$0] == host }.map { coresByRank[$0] }
      // Ranks that are bound have cores of their own; others share what each of them sees.
      let bound = allowed.max()! <= Threads.count
      let available = bound ? allowed.reduce(0, +) : allowed.max()!
      if ranks * Threads.count <= available { return nil }
      return
        "warning: \(ranks) ranks x \(Threads.count) threads on \(available) cores of \(host): they will wait for each other"
    }
  }

  private static var cpu: String {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }

  var json: JSON {
    let variables = ProcessInfo.processInfo.environment
    return [
      // The launcher knows the repository; a worker started by hand does not.
      "git_revision": variables["FLOWER_GIT_REVISION"].map { JSON($0) } ?? .null,
      "git_dirty": variables["FLOWER_GIT_DIRTY"].map { JSON($0 == "1") } ?? .null,
      "version": JSON(flowerVersion), "cpu": JSON(Self.cpu), "cores": JSON(cores),
      "tiles": JSON(Tile.best.name), "arithmetic": JSON(arithmetic.rawValue), "threads_per_rank": JSON(Threads.count),
      "ranks": JSON(communicator.size), "hosts": .array(communicator.hosts.map { JSON($0) }),
      "cores_by_rank": .array(coresByRank.map { JSON($0) }), "data_sha256": JSON(catalogue.dataset.digest),
      "started": JSON(Date.now.ISO8601Format()),
    ]
  }
}

/// The version of this program.
public let flowerVersion = "0.1.0"
