#include "distributed/work_server.h"

#include <exception>

#include "core/base/error.h"
#include "core/base/log.h"

namespace strata {
namespace {

constexpr int kQuestionTag = 1;
constexpr int kAnswerTag = 2;

}  // namespace

WorkServer::WorkServer(const Communicator& ranks, Answer answer) : ranks_(ranks.split(0)), answer_(std::move(answer)) {
  if (ranks_.rank() == 0 && ranks_.size() > 1) server_ = std::thread([this] { serve(); });
}

WorkServer::~WorkServer() {
  // A rank that is unwinding from an error does not wait: its main will abort the job.
  if (std::uncaught_exceptions() == 0) {
    try {
      ranks_.barrier();
    } catch (const std::exception& e) {
      log_warning("work server: {}", e.what());
    }
  }
  stop_ = true;
  if (server_.joinable()) server_.join();
}

Json WorkServer::answer_locked(const Json& question, int from) {
  const std::lock_guard lock(answer_mutex_);
  return answer_(question, from);
}

void WorkServer::serve() {
  try {
    for (;;) {
      int from = -1;
      std::string question;
      if (!ranks_.receive(kQuestionTag, &from, &question, [this] { return stop_.load(); })) return;
      ranks_.send(from, kAnswerTag, answer_locked(Json::parse(question), from).dump());
    }
  } catch (const std::exception& e) {
    log_error_text(std::string("work server: ") + e.what());
    MpiEnvironment::abort(kExitFailed);
  }
}

Json WorkServer::ask(const Json& question) {
  if (ranks_.rank() == 0) return answer_locked(question, 0);
  const std::lock_guard lock(ask_mutex_);
  ranks_.send(0, kQuestionTag, question.dump());
  int from = 0;
  std::string answer;
  ranks_.receive(kAnswerTag, &from, &answer, [] { return false; });
  return Json::parse(answer);
}

}  // namespace strata
