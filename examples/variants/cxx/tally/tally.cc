#include "tally.h"

#include <set>
#include <sstream>
#include <string>

int tally_words(const char *text, int length) {
  std::istringstream words(std::string(text, length));
  std::set<std::string> seen;
  for (std::string word; words >> word;) {
    seen.insert(word);
  }
  return static_cast<int>(seen.size());
}
