// SPDX-License-Identifier: MIT
// An echo server in a Qt program: Qt's event loop runs, and pollux is a notifier and a timer in it.
// Usage: qt_echo [port]. Ends with SIGTERM or SIGINT.
#include <csignal>
#include <cstdio>
#include <exception>

#include <QCoreApplication>
#include <QTimer>

#include <pollux/embed/qt.hpp>

#include "echo.hpp"

int main(int argc, char** argv) try {
  QCoreApplication application{argc, argv};
  pollux::Reactor reactor;
  Echo echo{reactor, argv[1]};

  pollux::embed::QtSource source{reactor};
  // Nothing may be thrown through Qt: it waits for rethrow().
  source.on_exception([](const std::exception_ptr& exception) {
    QCoreApplication::quit();
    std::rethrow_exception(exception);
  });

  // The program's own life in Qt goes on beside it.
  QTimer report;
  QObject::connect(&report, &QTimer::timeout,
                   [&] { std::printf("clients: %zu\n", echo.clients()); });
  report.start(std::chrono::seconds{10});

  // Signals are what Qt has nothing for: pollux has.
  const auto quit = [](int) { QCoreApplication::quit(); };
  const pollux::SignalWatch ending[] = {reactor.on_signal(SIGTERM, quit),
                                        reactor.on_signal(SIGINT, quit)};

  QCoreApplication::exec();
  source.rethrow();
} catch (const std::exception& error) {
  std::fprintf(stderr, "qt_echo: %s\n", error.what());
  return 1;
}
