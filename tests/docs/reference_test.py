#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gives scripts/docs a header in the style of the house, and reads it as Doxygen would."""
import subprocess
import sys
import tempfile

HEADER = """\
/// Of the class, and not of its members.
class Sample {
 public:
  Sample(const Sample&) = delete;
  /// Runs,
  /// or says why not.
  void run();
  void run(std::error_code& error,
           int times);

  void alone();
  int count = 0;  ///< of runs
  int bare = 0;
  friend bool operator==(const Sample&, const Sample&) = default;
};
/// May throw.
void guarded() try {
  call();
} catch (const std::exception&) {
  other();
}
"""

EXPECTED = """\
/// Of the class, and not of its members.
class Sample {
 public:

  /// Runs,
  /// or says why not.
  void run();
/** Runs, or says why not. */ void run(std::error_code& error,
           int times);

  void alone();
  int count = 0;  ///< of runs
  int bare = 0;

};
/// May throw.
void guarded() {
  call();

  other();
}
"""


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".hpp") as header:
        header.write(HEADER)
        header.flush()
        seen = subprocess.run([sys.executable, sys.argv[1], "--filter", header.name],
                              capture_output=True, text=True, check=True).stdout
    if seen.split() != EXPECTED.split():
        print(f"expected:\n{EXPECTED}\nseen:\n{seen}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
