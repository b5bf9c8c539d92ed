#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/metrics/accuracy.h"
#include "core/metrics/ctc_decoding.h"
#include "core/metrics/error_rates.h"
#include "tools/goldens/golden.h"
#include "tools/goldens/tolerance.h"

namespace strata {
namespace {

using Ids = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

constexpr double kAllowed = 1e-9;

/// The lines of one case of a file; every key of the case must be an input or be compared.
class CaseLines {
 public:
  CaseLines(std::vector<GoldenLine>& lines, std::string name, const Json& golden_case)
      : lines_(lines), name_(std::move(name)), case_(golden_case) {
    used_.insert("note");
  }

  const Json& input(const std::string& key) {
    used_.insert(key);
    return case_.at(key);
  }
  bool has(const std::string& key) const { return case_.contains(key); }

  /// A number within 1e-9. Where the peer has none (a text that names its error), ours must refuse, or have a rule that
  /// gives a number.
  void number(const std::string& key, const std::function<double()>& value) {
    const Json& want = input(key);
    const std::string line = name_ + " " + key;
    try {
      const double got = value();
      const double error = want.is_number() ? std::abs(got - want.get<double>()) : 0.0;
      lines_.push_back({line, std::isnan(got) ? std::numeric_limits<double>::infinity() : error, kAllowed, ""});
    } catch (const Error& error) {
      lines_.push_back(want.is_string() ? equality_line(line, true) : failed_line(line, error.what()));
    }
  }

  void equal(const std::string& key, const Json& got) {
    lines_.push_back(equality_line(name_ + " " + key, got == input(key)));
  }

  void finish() {
    for (const auto& item : case_.items()) {
      if (!used_.contains(item.key()))
        lines_.push_back(failed_line(name_ + " " + item.key(), "it is not known what this key is"));
    }
  }

 private:
  std::vector<GoldenLine>& lines_;
  std::string name_;
  const Json& case_;
  std::set<std::string> used_;
};

using Edits = SumCount (*)(const std::string&, const std::string&);

void check_error_rates(const Json&, CaseLines& lines) {
  const auto hyp = lines.input("hyp").get<Texts>(), ref = lines.input("ref").get<Texts>();
  if (hyp.size() != ref.size()) throw DataError("hyp and ref differ in number");
  const auto total = [&](Edits edits) {
    SumCount sum;
    for (std::size_t i = 0; i < hyp.size(); ++i) sum += edits(hyp[i], ref[i]);
    return sum;
  };
  const auto each = [&](Edits edits) {
    Json all = Json::array();
    for (std::size_t i = 0; i < hyp.size(); ++i) all.push_back(static_cast<std::int64_t>(edits(hyp[i], ref[i]).sum));
    return all;
  };
  lines.number("wer", [&] { return error_rate(total(token_edits)); });
  lines.number("per", [&] { return error_rate(total(token_edits)); });
  lines.number("cer", [&] { return error_rate(total(character_edits)); });
  lines.equal("word_edits", each(token_edits));
  lines.equal("char_edits", each(character_edits));
}

/// Words of ASR tokens: the tokens joined, "|" as space.
Texts words_of_tokens(const std::string& tokens) {
  const Texts symbols = split_at_white_space(tokens);
  Ids ids(symbols.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
  return split_at_white_space(letter_text(ids, symbols));
}

void check_asr_error_rates(const Json&, CaseLines& lines) {
  const auto hyp = lines.input("hyp_tokens").get<Texts>(), ref = lines.input("ref_tokens").get<Texts>();
  if (hyp.size() != ref.size()) throw DataError("hyp_tokens and ref_tokens differ in number");
  SumCount units, words;
  Json hyp_words = Json::array(), ref_words = Json::array();
  for (std::size_t i = 0; i < hyp.size(); ++i) {
    hyp_words.push_back(words_of_tokens(hyp[i]));
    ref_words.push_back(words_of_tokens(ref[i]));
    units += edits(split_at_white_space(hyp[i]), split_at_white_space(ref[i]));
    words += edits(words_of_tokens(hyp[i]), words_of_tokens(ref[i]));
  }
  lines.equal("hyp_words", hyp_words);
  lines.equal("ref_words", ref_words);
  lines.number("uer_percent", [&] { return asr_error_rate_percent(units); });
  lines.number("wer_percent", [&] { return asr_error_rate_percent(words); });
}

/// Rows of numbers, of which "nan", "inf" and "-inf" are written as text.
at::Tensor matrix(const Json& rows) {
  std::vector<double> values;
  for (const Json& row : rows) {
    for (const Json& value : row)
      values.push_back(value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>());
  }
  const auto count = static_cast<std::int64_t>(rows.size());
  return at::tensor(values, at::kDouble).view({count, count == 0 ? 0 : static_cast<std::int64_t>(rows[0].size())});
}

Ids ids_of(const at::Tensor& values) {
  const at::Tensor kept = values.to(at::kLong).contiguous();
  return Ids(kept.const_data_ptr<std::int64_t>(), kept.const_data_ptr<std::int64_t>() + kept.numel());
}

void check_accuracy(const Json&, CaseLines& lines) {
  if (lines.has("predicted_slots")) {
    const at::Tensor predicted = matrix(lines.input("predicted_slots")), labels = matrix(lines.input("label_slots"));
    lines.number("accuracy", [&] { return accuracy(predicted, labels).value(); });
    return;
  }
  const at::Tensor predicted = predicted_classes(matrix(lines.input("logits")));
  lines.equal("predicted", ids_of(predicted));
  lines.number("accuracy",
               [&] { return accuracy(predicted, at::tensor(lines.input("labels").get<Ids>(), at::kLong)).value(); });
}

/// `file`: holds the symbols of each task; the end symbol is found by its name.
void check_ctc_greedy(const Json& file, CaseLines& lines) {
  const std::string task = lines.input("task");
  const auto symbols = file.at(task + "_symbols").get<Texts>();
  const auto end = std::find(symbols.begin(), symbols.end(), task == "asr" ? "</s>" : "<eos>");
  const Ids dropped = {0, end - symbols.begin()};
  Ids path = lines.input("ids").get<Ids>();
  if (lines.has("scores")) {
    path = ids_of(predicted_classes(matrix(lines.input("scores"))));
    lines.equal("ids", path);
  }
  const Ids tokens = ctc_collapse(path, dropped);
  if (task == "asr") {
    lines.equal("tokens_text", spaced_text(tokens, symbols));
    lines.equal("words", split_at_white_space(letter_text(tokens, symbols)));
    return;
  }
  lines.equal("tokens", tokens);
  lines.equal("text", task == "sf" ? slot_text(tokens, symbols) : spaced_text(tokens, symbols));
}

using MetricCheck = void (*)(const Json& file, CaseLines& lines);

const std::map<std::string, MetricCheck>& metric_checks() {
  static const std::map<std::string, MetricCheck> checks = {{"error_rates", check_error_rates},
                                                            {"asr_error_rates", check_asr_error_rates},
                                                            {"accuracy", check_accuracy},
                                                            {"ctc_greedy", check_ctc_greedy}};
  return checks;
}

void check_file(const std::filesystem::path& path, std::vector<GoldenLine>& lines) {
  const std::string metric = path.stem().string();
  const auto check = metric_checks().find(metric);
  if (check == metric_checks().end()) throw DataError(fmt::format("metric \"{}\" is not known yet", metric));
  const Json file = read_json(path);
  const Json& cases = file.at("cases");
  if (cases.empty()) throw DataError("there are no cases");
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string name = fmt::format("metrics/{} {}", metric, i);
    guarded(lines, name, [&] {
      CaseLines case_lines(lines, name, cases[i]);
      check->second(file, case_lines);
      case_lines.finish();
    });
  }
}

}  // namespace

std::vector<GoldenLine> check_metrics(const std::filesystem::path& folder) {
  std::vector<GoldenLine> lines;
  guarded(lines, "metrics", [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string file = entry.path().filename().string();
      if (file == "README.md") continue;
      guarded(lines, "metrics/" + file, [&] { check_file(entry.path(), lines); });
    }
  });
  return lines;
}

}  // namespace strata
