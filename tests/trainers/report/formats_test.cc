#include "trainers/report/formats.h"

#include <gmock/gmock.h>

#include "core/base/file.h"
#include "tests/folder.h"
#include "tests/trainers/report/markup.h"
#include "tests/trainers/report/small_study.h"
#include "trainers/report/write.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Two interfaces, one of them at two learning rates and two seeds; names that every format must escape.
StudyResults small_results() {
  StudyResults results;
  results.name = "a <small> & simple study";
  const Json weights = {{"interface.0.layer_weights", {0.25, 0.75}}};
  for (const int seed : {0, 1}) {
    results.trials.push_back(SmallTrial{.upstream = "my_hubert", .learning_rate = 1e-3, .seed = seed}.done(
        0.8, seed == 0 ? 0.70 : 0.72, weights));
    results.trials.push_back(SmallTrial{.upstream = "my_hubert", .learning_rate = 1e-2, .seed = seed}.done(0.6, 0.9));
  }
  for (const int layer : {0, 1}) {
    results.trials.push_back(
        SmallTrial{.upstream = "my_hubert", .interface = {{"type", "single_layer"}, {"layer", layer}}}.done(
            0.5, 0.5 + layer * 0.1));
  }
  for (TrialResult& trial : results.trials) trial.layers = {{"h0", "h1"}};
  return results;
}

TEST(Formats, Markdown) {
  const StudyResults results = small_results();
  const std::string text = markdown_report(results, make_table(results));
  EXPECT_THAT(text, HasSubstr("| upstream | interface | sid accuracy % ↑ |\n| --- | --- | ---: |\n"
                              "| my_hubert | weighted_sum | **71.00 ± 1.41** (lr 0.001 !) |\n"
                              "| my_hubert | single_layer (layer=0) | 50.00 (lr 0.001) |\n"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "- my_hubert | weighted_sum, sid: the best learning rate, 0.001, is the lowest of its grid: try lower ones"));
}

TEST(Formats, Csv) {
  const StudyResults results = small_results();
  const std::string csv = table_csv(make_table(results));
  EXPECT_THAT(csv, HasSubstr("my_hubert,weighted_sum,sid,accuracy,0.71,"));
  EXPECT_THAT(csv, HasSubstr(",2,0.001,lowest,false,4,0\n"));
  EXPECT_THAT(csv, HasSubstr("my_hubert,single_layer (layer=1),sid,accuracy,0.6,0,1,0.001,,false,1,0\n"));
}

TEST(Formats, Latex) {
  const StudyResults results = small_results();
  const std::string tex = table_latex(make_table(results));
  EXPECT_THAT(
      tex, HasSubstr(
               "\\begin{tabular}{llr}\n\\toprule\nupstream & interface & sid accuracy \\% $\\uparrow$ \\\\\n\\midrule\n"
               "my\\_hubert & weighted\\_sum & \\textbf{71.00} {\\small $\\pm$ 1.41} \\\\\n"
               " & single\\_layer (layer=0) & 50.00 \\\\\n"));
}

TEST(Formats, WriteReport) {
  StudyResults results = small_results();
  const fs::path folder = fresh_folder();
  for (TrialResult& trial : results.trials) {
    trial.output = folder;
    write_file_atomically(folder / "trials" / trial.id / "metrics.jsonl",
                          R"({"step":50,"dev":{"accuracy":0.4},"train_loss":2})"
                          "\n"
                          R"({"step":100,"dev":{"accuracy":0.5},"train_loss":1})"
                          "\n");
  }
  const ReportTexts texts = write_report(results, folder / "report");
  EXPECT_THAT(names_in(folder / "report"),
              ElementsAre("layer_weights_sid.svg", "learning_curves_sid_dev.svg", "learning_curves_sid_train.svg",
                          "metric_by_layer_sid.svg", "report.html", "report.md", "table.csv", "table.tex"));
  EXPECT_EQ(read_file(folder / "report/report.html"), texts.html);
  EXPECT_EQ(markup_fault(texts.html), "");
  EXPECT_THAT(texts.html, HasSubstr("<title>a &lt;small&gt; &amp; simple study</title>"));
  EXPECT_THAT(texts.html, HasSubstr("my_hubert | weighted_sum, h1: 0.7500")) << "the heat map's mean weight";
  EXPECT_THAT(texts.html, HasSubstr("dev accuracy still improves at the last step"));
  EXPECT_THAT(texts.html, Not(HasSubstr("<script")));
  EXPECT_EQ(markup_fault(read_file(folder / "report/metric_by_layer_sid.svg")), "");
}

TEST(Formats, EmptyStudy) {
  StudyResults results;
  results.name = "nothing yet";
  results.trials.push_back(SmallTrial{}.waiting());
  const ReportTexts texts = write_report(results, fresh_folder());
  EXPECT_EQ(markup_fault(texts.html), "");
  EXPECT_THAT(texts.markdown, HasSubstr("0 of 1 trials are done, 1 waiting."));
}

TEST(Markup, FindsFaults) {
  EXPECT_EQ(markup_fault("<a><b x=\"1\"/>&amp;</a>"), "");
  EXPECT_EQ(markup_fault("<a><b></a>"), "</a> closes b");
  EXPECT_EQ(markup_fault("<a>"), "<a> is not closed");
  EXPECT_THAT(markup_fault("<a>this & that</a>"), HasSubstr("a bare &"));
}

}  // namespace
}  // namespace strata
