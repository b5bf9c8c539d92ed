#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <utility>

namespace strata {

/// The message of the `ErrorType` that `action` throws; fails the test if it throws none, or another.
template <class ErrorType, class Action>
std::string error_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const ErrorType& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another error was thrown: " << e.what();
    return "";
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace strata
