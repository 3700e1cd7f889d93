import FlowerDist
import Foundation

extension FuzzTarget {
  /// Amazon's reviews and metadata, packed or not.
  static let amazon = FuzzTarget(
    name: "amazon",
    seeds: [
      FuzzInput([file("reviews", reviews), file("products", products)]),
      FuzzInput([
        file(
          "reviews",
          reviews.replacing("reviewerID", with: "user_id").replacing("unixReviewTime", with: "timestamp")
            .replacing("asin", with: "parent_asin")), file("products", dictionaries),
      ]),
      FuzzInput([.init(name: "reviews", bytes: Array(Data(base64Encoded: packed)!)), file("products", products)]),
    ],
    mutate: { seed, donor, random in
      var input = seed
      repeat {
        let index = random.below(input.files.count)
        let other = random.pick(donor.files).bytes
        if input.files[index].bytes.first == 0x1F || input.files[index].name == "products" {
          ByteMutation.apply(to: &input.files[index].bytes, donor: other, &random)
        } else {
          mutateObjects(&input.files[index].bytes, donor: other, &random)
        }
      } while random.chance(1, in: 4)
      return input
    },
    read: { directory in
      var options = Preparation.Options(core: 2, damagedLimit: 3)
      options.from = CalendarDay("1970-01-01")
      _ = try AmazonReviews.prepare(
        reviews: "\(directory)/reviews", products: "\(directory)/products", name: "x", options: options)
    })

  /// CSV files with Python lists.
  static let flowerCSV = FuzzTarget(
    name: "flower-csv",
    seeds: [
      FuzzInput(["train", "valid", "test"].map { file("\($0).csv", examples) }),
      FuzzInput(
        ["train", "valid", "test"].map {
          file("\($0)/a.csv", "history_item_title,item_title\n\"['A', \"\"B's\"\"]\",C\n[],\"two\nlines\"\n")
        }),
    ],
    mutate: { seed, donor, random in
      var input = seed
      repeat {
        let index = random.below(input.files.count)
        ByteMutation.apply(to: &input.files[index].bytes, donor: random.pick(donor.files).bytes, &random)
      } while random.chance(1, in: 4)
      return input
    },
    read: { directory in
      _ = try FlowerCSV.prepare([directory], name: "x", options: Preparation.Options(damagedLimit: 3))
    })

  /// MovieLens in its three forms, and RecBole's atomic files.
  static let movieLens = FuzzTarget(
    name: "movielens",
    seeds: [
      FuzzInput([
        file("x.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ratings("\t")),
        file("x.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n" + movies("\t")),
      ]),
      FuzzInput([file("u.data", ratings("\t")), file("u.item", movies("|"))]),
      FuzzInput([file("ratings.dat", ratings("::")), file("movies.dat", movies("::"))]),
      FuzzInput([
        file("ratings.csv", "userId,movieId,rating,timestamp\n" + ratings(",")),
        file("movies.csv", "movieId,title,genres\n" + movies(",")),
      ]),
    ],
    mutate: { seed, donor, random in
      var input = seed
      repeat {
        let index = random.below(input.files.count)
        mutateTable(&input.files[index].bytes, donor: random.pick(donor.files).bytes, &random)
      } while random.chance(1, in: 4)
      return input
    },
    read: { directory in
      _ = try MovieLens.prepare(directory, name: "x", options: Preparation.Options(core: 2, damagedLimit: 3))
    })

  /// `interactions.csv` beside `items.jsonl`.
  static let interactions = FuzzTarget(
    name: "interactions",
    seeds: [
      FuzzInput([
        file("interactions.csv", "user,item,split\nU1,0,first\nU1,2,train\nU2,1,first\nU1,1,valid\n\"U, 2\",0,test\n"),
        file("items.jsonl", items),
      ]),
      FuzzInput([
        file("interactions.csv", "split,user,note,item\r\ntrain,1,,0\r\ntrain,1,\"a \"\"b\"\"\",1\r\n"),
        file("items.jsonl", items),
      ]),
    ],
    mutate: { seed, donor, random in
      var input = seed
      repeat {
        if random.chance(3, in: 4) {
          mutateTable(&input.files[0].bytes, donor: donor.files[0].bytes, &random)
        } else {
          mutateObjects(&input.files[1].bytes, donor: donor.files[1].bytes, &random)
        }
      } while random.chance(1, in: 4)
      return input
    },
    read: { directory in
      let options = Preparation.Options(core: 1, damagedLimit: 3)
      let made = try InteractionsFile.prepare(directory, name: "x", options: options)
      requirePrintable(DatasetSummary(made.dataset, problems: made.problems).description)
    })

  /// Another recommender's lists, and perhaps the titles that could be recommended.
  static let predictions = FuzzTarget(
    name: "predictions",
    seeds: [
      FuzzInput([file("lists.jsonl", lists)]),
      FuzzInput([
        file("lists.jsonl", lists), file("titles.jsonl", "{\"title\":\"Two\"}\n{\"id\":7,\"title\":\"Three\"}\n"),
      ]),
    ],
    mutate: { seed, donor, random in
      var input = seed
      mutateObjects(&input.files[random.below(input.files.count)].bytes, donor: donor.files[0].bytes, &random)
      return input
    },
    read: { directory in
      let data = Dataset(name: "x", titles: ["One", "Two"], weights: [1, 2])
      let titles = "\(directory)/titles.jsonl"
      let offered = FileManager.default.fileExists(atPath: titles) ? try OfferedTitles(contentsOf: titles) : nil
      _ = try PredictionsFile.evaluate("\(directory)/lists.jsonl", name: "x", dataset: data, offered: offered)
    })

  private static let lists =
    "{\"target\":\"One\",\"predictions\":[\"Two\",\"One\"]}\n{\"target\":\"?\",\"predictions\":[]}\n"

  /// Damages a text of rows and columns.
  private static func mutateTable(_ text: inout [UInt8], donor: [UInt8], _ random: inout FuzzRandom) {
    guard random.chance(1, in: 2) else { return ByteMutation.apply(to: &text, donor: donor, &random) }
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    let index = random.below(lines.count)
    let separator = [UInt8(ascii: "\t"), UInt8(ascii: "|"), UInt8(ascii: ":"), UInt8(ascii: ",")]
      .max { a, b in text.count(where: { $0 == a }) < text.count(where: { $0 == b }) }!
    var fields = lines[index].split(separator: separator, omittingEmptySubsequences: false).map(Array.init)
    let field = random.below(fields.count)
    switch random.below(8) {
    case 0: lines.remove(at: index)
    case 1: lines.insert(lines[index], at: random.below(lines.count + 1))
    case 2: lines.swapAt(index, random.below(lines.count))
    case 3: lines.insert(contentsOf: repeatElement(lines[index], count: 1 + random.length(1 << 12)), at: index)
    case 4: fields.remove(at: field)
    case 5: fields.swapAt(field, random.below(fields.count))
    default: fields[field] = Array(random.pick(cells).utf8)
    }
    if lines.indices.contains(index), !lines[index].isEmpty, random.chance(3, in: 4) {
      lines[index] = Array(fields.joined(separator: [separator]))
    }
    text = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
  }

  private static let cells = [
    "", " ", "0", "-1", "1", "2", "00", "+1", "1.0", "4.5", "1e308", "1e999", "nan", "inf", "-0", "0x1p3", "2147483647",
    "2147483648", "9223372036854775808", "first", "train", "valid", "test", "Train", "\"", "\"\"", "\"a\"b", "\"a\nb\"",
    "unknown", "a\u{0}b", "\u{1B}[2J", "\u{7F}", "\u{2028}", "e\u{301}", "\u{FEFF}", "\r",
    String(repeating: "x", count: 3000), String(repeating: "e\u{301}", count: 3000),
  ]

  /// User, item, rating and time: four users with three items each.
  private static func ratings(_ separator: String) -> String {
    (0..<12).map { row in
      ["U\(row % 4)", "\(row % 3)", "4.5", "\(100 + row)"].joined(separator: separator) + "\n"
    }.joined()
  }

  /// Item, title and genre.
  private static func movies(_ separator: String) -> String {
    ["The Lost Harbour (1994)", "Caf\u{E9}", "unknown"].enumerated().map { item, title in
      ["\(item)", title, "x"].joined(separator: separator) + "\n"
    }.joined()
  }

  private static let items =
    "{\"id\":0,\"title\":\"One\"}\n{\"id\":1,\"title\":\"Two\"}\n{\"id\":2,\"title\":\"Caf\u{E9}\"}\n"

  private static func file(_ name: String, _ text: String) -> FuzzInput.File {
    FuzzInput.File(name: name, bytes: Array(text.utf8))
  }

  private static let reviews = (0..<6).flatMap { user in
    (0..<3).map {
      #"{"reviewerID":"U\#(user)","asin":"P\#($0)","unixReviewTime":\#(10 * user + $0),"reviewText":"so\n\u00e9"}\#n"#
    }
  }.joined()

  private static let products = #"""
    {"asin":"P0","title":"The Lost &amp; Found"}
    {"asin":"P1","title":" \"Winter\r\nTale\" ","price":1e3}
    {"asin":"P2","title":"Caf\u00e9 \ud83d\ude42"}
    """#

  private static let dictionaries = #"""
    {'parent_asin': 'P0', 'title': "The Lost Harbour's", 'also': [('P1', 2)], 'x': True}
    {'parent_asin': 'P1', 'title': 'Caf\xe9 \u20ac \U0001f642', 'y': {'z': None}}
    {"parent_asin": "P2", "title": "Three"}
    """#

  /// `reviews`, packed by Python's gzip.
  private static let packed =
    "H4sIAAAAAAACA53RLw/CQAyHYc/HqJ5o749gGoMjZLgZRMUJjmRjsGThuzMI8pddrq6ifZMnXWjQZ9KXDscDtXRhaug6przOp+88"
    + "5TSffxtduim13PwPOp0f69J473M/Meue3rtlIyYgJtaYAzFXE5MCU9hag06x1hBUqqSuIHVsrSGpE2sNvrRK6gtSz9Yaknqx1pDU"
    + "V0lDQRrYWkPSINYakoYqaSxII1trSBrFWkPSuCn9AAGnppl5BQAA"

  private static let examples = """
    user_id,history_item_id,item_id,history_item_title,item_title,timestamp
    U1,"[7, 3]",5,"['Tom & Jerry', ""It's, he said""]","Say ""hi"", now",30
    U2,[3],9,"[""It's, he said""]","Two
    lines",40.5
    U1,[],7,[],Tom & Jerry,50

    """
}
