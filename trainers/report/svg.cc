#include "trainers/report/svg.h"

#include <fmt/format.h>

namespace strata {
namespace {

/// Tenths of a pixel are enough, and keep files small.
std::string number(double value) {
  std::string text = fmt::format("{:.1f}", value);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

std::string stroke(const StrokeStyle& style) {
  std::string text = fmt::format("fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"", style.colour, number(style.width));
  if (style.opacity < 1) text += fmt::format(" stroke-opacity=\"{:.2f}\"", style.opacity);
  if (!style.dashes.empty()) text += fmt::format(" stroke-dasharray=\"{}\"", style.dashes);
  return text;
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void Svg::line(Point from, Point to, const StrokeStyle& style) {
  body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", number(from.x), number(from.y),
                       number(to.x), number(to.y), stroke(style));
}

void Svg::polyline(const std::vector<Point>& points, const StrokeStyle& style) {
  std::string list;
  for (const Point& p : points) list += fmt::format("{}{},{}", list.empty() ? "" : " ", number(p.x), number(p.y));
  body_ += fmt::format("<polyline points=\"{}\" {} stroke-linejoin=\"round\"/>\n", list, stroke(style));
}

void Svg::circle(Point centre, double radius, const std::string& colour) {
  body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"/>\n", number(centre.x), number(centre.y),
                       number(radius), colour);
}

void Svg::rectangle(Point corner, double width, double height, const std::string& colour, const std::string& hint) {
  const std::string place = fmt::format("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"", number(corner.x),
                                        number(corner.y), number(width), number(height), colour);
  body_ += hint.empty() ? fmt::format("<rect {}/>\n", place)
                        : fmt::format("<rect {}><title>{}</title></rect>\n", place, escape_markup(hint));
}

void Svg::text(Point place, std::string_view text, const TextStyle& style) {
  const std::string turn = style.rotation == 0 ? ""
                                               : fmt::format(" transform=\"rotate({} {} {})\"", number(style.rotation),
                                                             number(place.x), number(place.y));
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" fill=\"{}\" font-size=\"{}\" text-anchor=\"{}\"{}>{}</text>\n",
                       number(place.x), number(place.y), style.colour, number(style.size), style.anchor, turn,
                       escape_markup(text));
}

std::string Svg::open_tag(const std::string& more) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" "
      "font-family=\"system-ui, sans-serif\" role=\"img\"{}>\n<title>{}</title>\n",
      number(width_), number(height_), number(width_), number(height_), more, escape_markup(title_));
}

std::string Svg::element() const { return open_tag("") + body_ + "</svg>\n"; }

std::string Svg::file() const {
  return open_tag(" color=\"#1a1a1a\"") +
         fmt::format("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>\n", number(width_), number(height_)) + body_ +
         "</svg>\n";
}

}  // namespace strata
