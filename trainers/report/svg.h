#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// & < > " as entities: for text and attributes of HTML, XML and SVG.
std::string escape_markup(std::string_view text);

struct Point {
  double x = 0, y = 0;
};

struct StrokeStyle {
  std::string colour = "currentColor";
  double width = 1;
  double opacity = 1;
  std::string dashes;  // "6 3"; "" for a line without gaps
};

struct TextStyle {
  std::string anchor = "start";  // start, middle, end
  std::string colour = "currentColor";
  double size = 12;
  double rotation = 0;  // degrees, about its own place
};

/// An SVG drawing, built element by element, the later over the earlier. Lengths are pixels, y grows downwards. What is
/// drawn in `currentColor` follows the colour of the text around it, so that a figure can be read on light and dark
/// pages.
class Svg {
 public:
  /// `title` is what screen readers say.
  Svg(double width, double height, std::string title) : width_(width), height_(height), title_(std::move(title)) {}

  void line(Point from, Point to, const StrokeStyle& style);
  void polyline(const std::vector<Point>& points, const StrokeStyle& style);
  void circle(Point centre, double radius, const std::string& colour);
  /// `hint` is shown while the pointer is over it.
  void rectangle(Point corner, double width, double height, const std::string& colour, const std::string& hint = "");
  void text(Point place, std::string_view text, const TextStyle& style);

  /// The element, to stand in a page; it shrinks with the page.
  std::string element() const;
  /// A file of its own: dark on white.
  std::string file() const;

 private:
  std::string open_tag(const std::string& more) const;

  double width_, height_;
  std::string title_;
  std::string body_;
};

}  // namespace strata
