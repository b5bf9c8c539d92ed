#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/fields.h"
#include "trainers/pretrain/kmeans.h"
#include "trainers/study/study.h"

namespace strata {

/// Which speech is trained on. Utterances are listed as `corpus` (all of it), `corpus/task.split`, or with `*` for the
/// corpus or the task.
struct PretrainSpeech {
  std::vector<std::string> train;
  std::vector<std::string> dev;
  std::vector<std::string> held_out = {"*/*.test"};
  std::vector<std::string> held_out_speakers;
  double min_seconds = 1;
  double max_seconds = 15;
  double shard_seconds = 600;
  std::string licence;

  void fields(Fields& f) {
    f.texts(
        "train", train,
        "utterances to train on, such as \"debian\" or \"debian/sid.train\"; those of dev and held out are taken off");
    f.texts("dev", dev, "utterances to validate on; those held out are taken off");
    f.texts("held_out", held_out, "utterances that are not read, by id, whatever corpus they are listed in");
    f.texts("held_out_speakers", held_out_speakers, "as held_out, with all other utterances of their speakers");
    f.number("min_seconds", min_seconds, "shorter utterances are left out", between(0.1, 3600));
    f.number("max_seconds", max_seconds, "of a longer utterance a random part is taken, another one each time",
             between(0.1, 3600));
    f.number("shard_seconds", shard_seconds, "audio in a file of decoded speech", between(1, 36000));
    f.text("licence", licence, "of the speech, for the model's card");
  }
};

/// What the units that a model predicts are made from.
struct UnitRecipe {
  std::string source = "mfcc";
  std::string model;
  std::string store;
  std::string tap;
  std::string normalize = "none";
  std::int64_t frames = 500000;
  std::int64_t seed = 0;
  Json kmeans = Json::object();  // KMeansOptions, resolved

  void fields(Fields& f) {
    f.text("source", source, "39 MFCCs with differences, a layer of a model, or a layer in a feature store",
           {"mfcc", "model", "store"});
    f.text("model", model, "of source model: one of this section, trained before, or a model as upstreams name it");
    f.text("store", store, "of source store: folder of an upstream in a feature store that has all utterances");
    f.text("tap", tap, "of sources model and store: the layer, such as \"h3\"");
    f.text("normalize", normalize,
           "what of each dimension is taken off over an utterance first, lest the units of few voices tell them apart",
           {"none", "mean", "mean_variance"});
    f.number("frames", frames, "that k-means sees: whole utterances, drawn until they have so many", at_least(1));
    f.number("seed", seed, "of k-means", at_least(0));
    f.json("kmeans", kmeans, "method, starts, iterations, tolerance, batch_frames");
  }
};

/// One model to be trained.
struct PretrainModel {
  std::string name;
  Json objective;                        // resolved
  Json optimizer = {{"type", "adam"}};   // resolved
  Json schedule = {{"type", "linear"}};  // resolved
  UnitRecipe units;                      // for objectives that predict units
  std::int64_t steps = 0;
  double batch_seconds = 60;
  double clip = 10;
  std::int64_t log_every = 50;
  std::int64_t evaluate_every = 500;
  std::int64_t save_every = 500;
  std::int64_t seed = 0;
  std::string keep = "last";

  void fields(Fields& f) {
    f.json("objective", objective, "{\"type\": \"hubert\", ...}: architecture and loss");
    f.json("units", reader_units, "what is predicted, for objectives that predict units");
    f.json("optimizer", optimizer, "as in a sweep");
    f.json("schedule", schedule, "as in a sweep");
    f.number("steps", steps, "updates", at_least(1));
    f.number("batch_seconds", batch_seconds, "audio of an update, over all ranks, at most", at_least(0.1));
    f.number("clip", clip, "largest norm of the gradient; 0: any", at_least(0));
    f.number("log_every", log_every, "steps", at_least(1));
    f.number("evaluate_every", evaluate_every, "steps", at_least(1));
    f.number("save_every", save_every, "steps from checkpoint to checkpoint", at_least(1));
    f.number("seed", seed, "of weights, masks, crops and the order of batches", at_least(0));
    f.text("keep", keep, "which weights the model gets: the last, or those with the least loss on dev",
           {"last", "best"});
  }

  Json reader_units = Json::object();  // `units` as the study has it
};

/// The section `pretrain` of a study, checked as far as that goes without opening anything but the file.
struct PretrainStudy {
  std::string name;
  std::filesystem::path file;
  std::filesystem::path root;
  std::filesystem::path output;
  std::string device = "auto";  // where models are trained, and those run that units come from: auto, cpu, cuda
  std::map<std::string, CorpusEntry> corpora;
  PretrainSpeech speech;
  std::vector<PretrainModel> models;  // each after those that its units come from
};

/// Reads the section; the other keys of a study may be there and are not looked at. Overrides as in read_study.
/// Throws ConfigError with file, JSON path, value, what is allowed, nearest name.
PretrainStudy read_pretrain_study(const std::filesystem::path& file, const std::vector<std::string>& overrides);

}  // namespace strata
