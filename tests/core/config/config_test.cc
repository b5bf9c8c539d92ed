#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/config/fields.h"
#include "core/config/json.h"
#include "core/config/overrides.h"
#include "core/config/registry.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;

struct AllKinds {
  std::int64_t layers = 3;
  double rate = 0.5;
  bool normalize = false;
  std::string mode = "fast";
  std::vector<std::int64_t> sizes = {1};
  std::vector<double> scales;
  std::vector<std::string> taps;
  Json extra;

  void fields(Fields& f) {
    f.number("layers", layers, "how many", between(1, 24));
    f.number("rate", rate, "how fast", at_least(0));
    f.flag("normalize", normalize, "whether");
    f.text("mode", mode, "which", {"fast", "exact"});
    f.numbers("sizes", sizes, "how large");
    f.numbers("scales", scales, "how much");
    f.texts("taps", taps, "of what");
    f.json("extra", extra, "more");
  }
};

AllKinds read(const Json& value) {
  FieldReader reader(value, "study.json", "/part");
  AllKinds options;
  options.fields(reader);
  reader.finish("\"part\"");
  return options;
}

std::string read_error(const Json& value) {
  return error_of<ConfigError>([&] { read(value); });
}

TEST(Fields, AreReadAndWritten) {
  const Json given = {{"layers", 4},     {"rate", 2},          {"normalize", true}, {"mode", "exact"},
                      {"sizes", {1, 2}}, {"scales", {0.5, 1}}, {"taps", {"h0"}},    {"extra", {{"a", 1}}}};
  EXPECT_EQ(options_to_json(read(given)), given);
  EXPECT_EQ(options_to_json(read(Json::object())), (Json{{"layers", 3},
                                                         {"rate", 0.5},
                                                         {"normalize", false},
                                                         {"mode", "fast"},
                                                         {"sizes", {1}},
                                                         {"scales", Json::array()},
                                                         {"taps", Json::array()},
                                                         {"extra", nullptr}}));
  EXPECT_EQ(read({{"layers", 4.0}}).layers, 4) << "1e3 is a whole number too";
}

TEST(Fields, AreListed) {
  AllKinds defaults;
  FieldLister lister;
  defaults.fields(lister);
  std::vector<std::string> lines;
  for (const FieldDescription& f : lister.fields)
    lines.push_back(f.key + " " + f.type + " " + f.default_value.dump() + " " + f.allowed);
  EXPECT_THAT(lines, ElementsAre("layers integer 3 1 to 24", "rate number 0.5 at least 0", "normalize boolean false ",
                                 "mode string \"fast\" fast, exact", "sizes array [1] integers",
                                 "scales array [] numbers", "taps array [] strings", "extra any null "));
}

TEST(Fields, SayWhatIsWrong) {
  EXPECT_EQ(read_error({{"layers", 0}}), "study.json /part/layers: 0 is not allowed; takes an integer, 1 to 24");
  EXPECT_EQ(read_error({{"layers", 1.5}}), "study.json /part/layers: 1.5 is not allowed; takes an integer, 1 to 24");
  EXPECT_EQ(read_error({{"layers", "3"}}), "study.json /part/layers: \"3\" is not allowed; takes an integer, 1 to 24");
  EXPECT_EQ(read_error({{"layers", true}}), "study.json /part/layers: true is not allowed; takes an integer, 1 to 24");
  EXPECT_EQ(read_error({{"layers", nullptr}}),
            "study.json /part/layers: null is not allowed; takes an integer, 1 to 24");
  EXPECT_EQ(read_error({{"rate", -0.1}}), "study.json /part/rate: -0.1 is not allowed; takes a number, at least 0");
  EXPECT_EQ(read_error({{"normalize", 1}}), "study.json /part/normalize: 1 is not allowed; takes true or false");
  EXPECT_EQ(read_error({{"mode", "fats"}}),
            "study.json /part/mode: unknown value \"fats\", did you mean \"fast\"? known: fast, exact");
  EXPECT_EQ(read_error({{"mode", "anything else"}}),
            "study.json /part/mode: unknown value \"anything else\"; known: fast, exact");
  EXPECT_EQ(read_error({{"mode", 3}}), "study.json /part/mode: 3 is not allowed; takes a string");
  EXPECT_EQ(read_error({{"sizes", {1, 2.5}}}),
            "study.json /part/sizes: [1,2.5] is not allowed; takes a list of integers");
  EXPECT_EQ(read_error({{"sizes", 3}}), "study.json /part/sizes: 3 is not allowed; takes a list of integers");
  EXPECT_EQ(read_error({{"scales", {"a"}}}),
            "study.json /part/scales: [\"a\"] is not allowed; takes a list of numbers");
  EXPECT_EQ(read_error({{"taps", "h0"}}), "study.json /part/taps: \"h0\" is not allowed; takes a list of strings");
  EXPECT_EQ(read_error({{"layer", 3}}),
            "study.json /part/layer: unknown key, did you mean \"layers\"? \"part\" takes extra, layers, mode, "
            "normalize, rate, scales, sizes, taps");
  EXPECT_EQ(read_error(Json::array()), "study.json /part: expected an object, found []");
}

TEST(Fields, RefuseIntegersThatDoNotFit) {
  for (const char* number : {"1e300", "9223372036854775808", "18446744073709551615", "-1e19"}) {
    std::int64_t value = 5;
    FieldReader reader({{"seed", Json::parse(number)}}, "study.json");
    EXPECT_THAT(error_of<ConfigError>([&] { reader.number("seed", value, ""); }),
                testing::EndsWith("is not allowed; takes an integer"))
        << number;
    EXPECT_EQ(value, 5);
  }
}

TEST(FieldReader, GoesIntoObjects) {
  FieldReader reader({{"a", {{"b", {{"c", 1}}}}}, {"n", 3}}, "study.json");
  EXPECT_THAT(reader.keys(), ElementsAre("a", "n"));
  EXPECT_TRUE(reader.has("n"));
  EXPECT_EQ(reader.child("a").child("b").require("c"), 1);
  EXPECT_EQ(reader.child("a").child("b").path(), "/a/b");
  EXPECT_EQ(error_of<ConfigError>([&] { reader.child("a").require("x"); }), "study.json /a/x: this key is missing");
  EXPECT_EQ(error_of<ConfigError>([&] { reader.child("n"); }), "study.json /n: expected an object, found 3");
  EXPECT_EQ(error_of<ConfigError>([&] {
              FieldReader({{"x", 1}}, "study.json").finish("it");
            }),
            "study.json /x: unknown key; it takes no options");
}

struct Shape {
  static constexpr const char* kKind = "shape";
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
using Shapes = Registry<Shape, double>;

struct SquareOptions {
  double side = 2;
  void fields(Fields& f) { f.number("side", side, "length"); }
};
struct Square : Shape {
  Square(const SquareOptions& options, double scale) : side(options.side * scale) {}
  double area() const override { return side * side; }
  double side;
};
struct Point : Shape {
  Point(const NoOptions&, double) {}
  double area() const override { return 0; }
};
[[maybe_unused]] const bool registered = Shapes::add_variant<SquareOptions, Square>("square", "four sides") &&
                                         Shapes::add_variant<NoOptions, Point>("point", "none");

FieldReader part(const Json& value) { return FieldReader(value, "study.json", "/shape"); }

TEST(Registry, MakesAndResolvesByType) {
  EXPECT_THAT(Shapes::names(), ElementsAre("point", "square"));
  EXPECT_TRUE(Shapes::contains("square"));
  EXPECT_EQ(Shapes::make(part({{"type", "square"}, {"side", 3}}), 2.0)->area(), 36);
  EXPECT_EQ(Shapes::make(part({{"type", "point"}}), 2.0)->area(), 0);
  EXPECT_EQ(Shapes::resolve(part({{"type", "square"}})), (Json{{"type", "square"}, {"side", 2.0}}));
  EXPECT_EQ(Shapes::entries().at("square").summary, "four sides");
  EXPECT_EQ(Shapes::entries().at("square").options()[0].key, "side");
}

TEST(Registry, SaysWhatIsWrong) {
  const auto error = [](const Json& value) { return error_of<ConfigError>([&] { Shapes::resolve(part(value)); }); };
  EXPECT_EQ(error({{"type", "sqaure"}}),
            "study.json /shape/type: unknown shape \"sqaure\", did you mean \"square\"? known: point, square");
  EXPECT_EQ(error({{"type", "dodecahedron"}}),
            "study.json /shape/type: unknown shape \"dodecahedron\"; known: point, square");
  EXPECT_EQ(error({{"side", 3}}), "study.json /shape/type: this key is missing");
  EXPECT_EQ(error({{"type", 3}}), "study.json /shape/type: 3 is not allowed; takes a string");
  EXPECT_EQ(error({{"type", "square"}, {"sied", 3}}),
            "study.json /shape/sied: unknown key, did you mean \"side\"? \"square\" takes side, type");
}

TEST(RegistryDeathTest, RefusesANameTwice) {
  EXPECT_DEATH((Shapes::add_variant<SquareOptions, Square>("square", "again")),
               "strata: shape \"square\" is registered twice");
}

Json overridden(const Json& value, const std::string& argument) {
  Json changed = value;
  apply_override(changed, argument);
  return changed;
}

TEST(Overrides, SetValues) {
  const Json study = {{"keep", "best"}, {"sweep", {{{"steps", 10}}, {{"steps", 20}}}}};
  EXPECT_EQ(overridden(study, "keep=all")["keep"], "all");
  EXPECT_EQ(overridden(study, "sweep.1.steps=30")["sweep"][1]["steps"], 30);
  EXPECT_EQ(overridden(study, "sweep.0.optimizer.learning_rate=1e-3,1e-2")["sweep"][0]["optimizer"]["learning_rate"],
            (Json{1e-3, 1e-2}));
  EXPECT_EQ(overridden(study, "taps=h0,h6")["taps"], (Json{"h0", "h6"}));
  EXPECT_EQ(overridden(study, "taps=[\"h0\"]")["taps"], Json::array({"h0"}));
  EXPECT_EQ(overridden(study, "search={\"type\": \"grid\"}")["search"]["type"], "grid");
  EXPECT_EQ(overridden(study, "a=true")["a"], true);
  EXPECT_EQ(overridden(study, "a=")["a"], "");
  EXPECT_EQ(overridden(study, "a=x=y")["a"], "x=y");
  EXPECT_EQ(overridden(study, "a=\"1,2\"")["a"], "1,2");
}

TEST(Overrides, SayWhatIsWrong) {
  const Json study = {{"keep", "best"}, {"sweep", {{{"steps", 10}}}}};
  const auto error = [&](const std::string& argument) {
    return error_of<ConfigError>([&] { overridden(study, argument); });
  };
  EXPECT_EQ(error("keep"),
            "\"keep\" is no override: write path.to.key=value, such as sweep.0.optimizer.learning_rate=1e-3,1e-2");
  EXPECT_EQ(error("=3").substr(0, 21), "\"=3\" is no override: ");
  EXPECT_EQ(error("sweep.1.steps=3"), "override \"sweep.1.steps=3\": \"1\" is not one of the 1 entries of that list");
  EXPECT_EQ(error("sweep.steps=3"), "override \"sweep.steps=3\": \"steps\" is not one of the 1 entries of that list");
  EXPECT_EQ(
      error("sweep.99999999999999999999=3"),
      "override \"sweep.99999999999999999999=3\": \"99999999999999999999\" is not one of the 1 entries of that list");
  EXPECT_EQ(error("keep.more=3"), "override \"keep.more=3\": there is nothing below \"best\", so no \"more\"");
}

TEST(JsonFile, SaysWhereItIsWrong) {
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "a.json", "{\n\"a\": 1,\n\"b\" 2}");
  EXPECT_THAT(error_of<ConfigError>([&] { read_json(folder / "a.json"); }),
              testing::StartsWith((folder / "a.json").string() + ": not valid JSON at line 3: "));
  EXPECT_THAT(error_of<ConfigError>([&] { parse_json("// no comments\n1", "here"); }),
              testing::StartsWith("here: not valid JSON at line 1: "));
  EXPECT_THAT(error_of<ConfigError>([&] { parse_json("", "here"); }),
              testing::StartsWith("here: not valid JSON at line 1: "));
  EXPECT_EQ(error_of<ConfigError>([&] { read_json(folder); }), folder.string() + ": there is no such file");
  EXPECT_EQ(parse_json("{\"b\": 1, \"a\": 2}", "here").dump(), "{\"a\":2,\"b\":1}");
}

}  // namespace
}  // namespace strata
