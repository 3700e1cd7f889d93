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

  /// Another recommender's lists.
  static let predictions = FuzzTarget(
    name: "predictions",
    seeds: [
      FuzzInput(
        "lists.jsonl",
        "{\"target\":\"One\",\"predictions\":[\"Two\",\"One\"]}\n{\"target\":\"?\",\"predictions\":[]}\n")
    ],
    mutate: { seed, donor, random in
      var input = seed
      mutateObjects(&input.files[0].bytes, donor: donor.files[0].bytes, &random)
      return input
    },
    read: { directory in
      let data = Dataset(name: "x", titles: ["One", "Two"], weights: [1, 2])
      _ = try PredictionsFile.evaluate("\(directory)/lists.jsonl", name: "x", dataset: data)
    })

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
