#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "core/config/json.h"
#include "distributed/mpi.h"

namespace strata {

/// One desk for all ranks: any thread of any rank asks, rank 0 answers, one question at a time. Work is handed out and
/// results are journalled through it, so the only state is rank 0's, and nobody waits for a rank that computes.
/// Collective to construct and destroy: the destructor waits until every rank has come.
class WorkServer {
 public:
  /// `answer` is called on rank 0 only, never twice at a time. It must not throw; if it does, the job is aborted.
  using Answer = std::function<Json(const Json& question, int from)>;

  WorkServer(const Communicator& ranks, Answer answer);
  ~WorkServer();
  WorkServer(const WorkServer&) = delete;
  WorkServer& operator=(const WorkServer&) = delete;

  /// Asks rank 0 and waits for its answer. Thread-safe.
  Json ask(const Json& question);

 private:
  Json answer_locked(const Json& question, int from);
  void serve();

  const Communicator ranks_;  // a communicator of its own: its messages meet no others
  Answer answer_;
  std::mutex ask_mutex_;     // one question of this rank under way
  std::mutex answer_mutex_;  // rank 0: one answer at a time
  std::atomic<bool> stop_ = false;
  std::thread server_;       // rank 0, if there are other ranks
};

}  // namespace strata
