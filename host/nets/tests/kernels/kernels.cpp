// Holds the kernels of batch norm, depthwise convolution, pooling, the loss and the optimisers to plain loops in
// double, with the block's threads as threads. Prints what differs, and fails if anything does.

#include <cstdio>
#include <random>
#include <string>

#include "../../src/ops/cuda/kernels.cu"

typedef std::vector<double> Values;

static int faults = 0;

// A tensor of T with its values as the kernel sees them.
template <typename T>
struct Tensor {
  std::vector<T> data;
  explicit Tensor(size_t count) : data(count) {
    for (T &x : data) down(NAN, &x);  // what a kernel leaves out is seen
  }
  Tensor(size_t count, unsigned seed, double low, double high) : data(count) {
    std::mt19937 dice(seed);
    std::uniform_real_distribution<double> between(low, high);
    for (T &x : data) down((float)between(dice), &x);
  }
  T *at() { return data.data(); }
  double operator[](size_t i) const { return up(data[i]); }
};

template <typename T>
void expect(const char *what, const Tensor<T> &got, const Values &wanted) {
  double largest = 0, apart = 0, bound = sizeof(T) == 2 ? 4e-3 : 2e-6;
  for (double value : wanted) largest = fmax(largest, fabs(value));
  bool same = got.data.size() == wanted.size();
  for (size_t i = 0; same && i < wanted.size(); i++) {
    double difference = fabs(got[i] - wanted[i]);
    if (!(difference <= apart)) apart = difference;  // takes what is not a number, too
  }
  if (same && apart <= bound * largest) return;
  faults++;
  printf("%s, elements of %zu bytes: %g apart of %g\n", what, sizeof(T), apart, largest);
}

static unsigned blocks(size_t count) { return (count + THREADS - 1) / THREADS; }

// The kernels for elements of T, by the names that are launched.
#define EACH(name, count, ...) \
  launch(blocks(count), 1, THREADS, sizeof(T) == 2 ? (decltype(&name<T>))(void *)name##_bf16 : (decltype(&name<T>))(void *)name##_f32, __VA_ARGS__)
#define GRID(name, across, down, ...) \
  launch(across, down, THREADS, sizeof(T) == 2 ? (decltype(&name<T>))(void *)name##_bf16 : (decltype(&name<T>))(void *)name##_f32, __VA_ARGS__)

static double act(int a, double z) { return a == 1 ? fmax(z, 0) : a == 2 ? z / (1 + exp(-z)) : z; }
static double slope(int a, double z) {
  double s = 1 / (1 + exp(-z));
  return a == 1 ? z > 0 : a == 2 ? s * (1 + z * (1 - s)) : 1;
}

// `between` more maps lie between those of one film and those of the next when they are normalised.
template <typename T>
void batch_norm(int films, int channels, int map, int spans, int activation, bool held, int between) {
  size_t count = (size_t)films * channels * map, n = films * map;
  Tensor<T> x(count, 1, 2, 4), dy(count, 2, -1, 1), y(count), dx(count);
  Tensor<float> gamma(channels, 3, 0.5, 2), beta(channels, 4, -1, 1), statistics(2 * channels);
  Tensor<float> means(channels * spans), squares(channels * spans), gradients(2 * channels);
  float epsilon = 1e-3f;
  unsigned film = channels * map, step = film + between * map;
  Tensor<T> apart(films * step);
  for (size_t i = 0; i < count; i++) apart.data[i / film * step + i % film] = x.data[i];
  Values mean(channels), variance(channels), both, z(count), wanted(count), parameters(2 * channels), back(count);
  auto channel = [&](size_t i) { return i / map % channels; };
  for (size_t i = 0; i < count; i++) mean[channel(i)] += x[i] / n;
  for (size_t i = 0; i < count; i++) variance[channel(i)] += pow(x[i] - mean[channel(i)], 2) / n;
  both = mean;
  both.insert(both.end(), variance.begin(), variance.end());
  GRID(span_moments, channels, spans, x.at(), means.at(), squares.at(), films, channels, map);
  launch(blocks(channels), 1, THREADS, joined_moments, means.at(), squares.at(), statistics.at(), channels, spans, films, map);
  expect("statistics", statistics, both);
  float *m = statistics.at(), *v = m + channels;
  for (size_t i = 0; i < count; i++) {
    int c = channel(i);
    double centred = (x[i] - mean[c]) / sqrt(variance[c] + epsilon);
    z[i] = gamma[c] * centred + beta[c];
    wanted[i] = act(activation, z[i]);
    double dz = dy[i] * slope(activation, z[i]);
    parameters[c] += dz * centred;
    parameters[channels + c] += dz;
  }
  double share = held ? 0 : 1.0 / n;
  for (size_t i = 0; i < count; i++) {
    int c = channel(i);
    double inverse = 1 / sqrt(variance[c] + epsilon), centred = (x[i] - mean[c]) * inverse;
    double dz = dy[i] * slope(activation, z[i]);
    back[i] = gamma[c] * inverse * (dz - share * (parameters[channels + c] + centred * parameters[c]));
  }
  EACH(normalise, count, apart.at(), y.at(), gamma.at(), beta.at(), m, v, epsilon, activation, channels, map, step, count);
  expect("normalised", y, wanted);
  GRID(span_gradients, channels, spans, apart.at(), dy.at(), means.at(), squares.at(), gamma.at(), beta.at(), m, v, epsilon, activation, films, channels, map, step);
  launch(blocks(channels), 1, THREADS, joined_gradients, means.at(), squares.at(), gradients.at(), v, epsilon, channels, spans);
  expect("gradients of gamma and beta", gradients, parameters);
  EACH(input_gradient, count, apart.at(), dy.at(), dx.at(), gradients.at(), gamma.at(), beta.at(), m, v, epsilon, activation, (float)share, channels, map, step, count);
  expect("batch norm's input gradient", dx, back);
}

template <typename T>
void depthwise_all(int films, int channels, int height, int width, int k, int stride, int top, int left, int spans) {
  int rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride, planes = films * channels;
  size_t count = planes * height * width, out = planes * rows * columns, taps = channels * k * k;
  Tensor<T> x(count, 5, -1, 1), weight(taps, 6, -1, 1), dy(out, 7, -1, 1), y(out), dx(count), dw(taps);
  Tensor<float> parts(taps * spans);
  Values forward(out), data(count), filter(taps);
  for (size_t o = 0; o < out; o++) {
    int plane = o / columns / rows, row = o / columns % rows, column = o % columns;
    for (int tap = 0; tap < k * k; tap++) {
      int r = row * stride + tap / k - top, c = column * stride + tap % k - left;
      if (r < 0 || r >= height || c < 0 || c >= width) continue;
      size_t from = ((size_t)plane * height + r) * width + c, w = plane % channels * k * k + tap;
      forward[o] += x[from] * weight[w];
      data[from] += dy[o] * weight[w];
      filter[w] += dy[o] * x[from];
    }
  }
  EACH(depthwise, out, x.at(), weight.at(), y.at(), channels, height, width, rows, columns, k, stride, top, left, out);
  expect("depthwise", y, forward);
  EACH(depthwise_data, count, dy.at(), weight.at(), dx.at(), channels, height, width, rows, columns, k, stride, top, left, count);
  expect("depthwise data gradient", dx, data);
  GRID(depthwise_taps, channels, spans, x.at(), dy.at(), parts.at(), films, channels, height, width, rows, columns, k, stride, top, left);
  EACH(joined_taps, taps, parts.at(), dw.at(), channels, spans, k * k);
  expect("depthwise weight gradient", dw, filter);
}

template <typename T>
void pools(int planes, int height, int width) {
  int rows = (height + 1) / 2, columns = (width + 1) / 2, map = height * width;
  size_t count = planes * map, out = planes * rows * columns;
  Tensor<T> x(count, 8, -1, 1), other(count, 10, -1, 1), dy(out, 9, -1, 1), y(out), dx(count);
  for (size_t i = 0; i < count; i += 3) down(2, &x.data[i]);  // ties go to the first
  Values most(out), back(count), means(planes), products(planes);
  for (size_t o = 0; o < out; o++) {
    size_t plane = o / columns / rows, best = count;
    int row = o / columns % rows, column = o % columns;
    for (int r = 2 * row - 1; r < 2 * row + 2; r++)
      for (int c = 2 * column - 1; c < 2 * column + 2; c++) {
        size_t i = (plane * height + r) * width + c;
        if (r >= 0 && r < height && c >= 0 && c < width && (best == count || x[i] > x[best])) best = i;
      }
    most[o] = x[best];
    back[best] += dy[o];
  }
  for (size_t i = 0; i < count; i++) means[i / map] += x[i] / map, products[i / map] += x[i] * other[i];
  EACH(max_pool, out, x.at(), y.at(), height, width, out);
  expect("max pool", y, most);
  EACH(max_pool_gradient, count, x.at(), dy.at(), dx.at(), height, width, count);
  expect("max pool gradient", dx, back);
  Tensor<float> got_means(planes), got_products(planes);
  GRID(plane_means, planes, 1, x.at(), got_means.at(), map);
  expect("plane means", got_means, means);
  GRID(plane_products, planes, 1, x.at(), other.at(), got_products.at(), map);
  expect("plane products", got_products, products);
  rows = height / 2, columns = width / 2, out = planes * rows * columns;
  Tensor<T> half(out), half_dy(out, 11, -1, 1);
  Values average(out), spread(count);
  for (size_t o = 0; o < out; o++)
    for (int corner = 0; corner < 4; corner++) {
      size_t i = (o / columns / rows * height + o / columns % rows * 2 + corner / 2) * width + o % columns * 2 + corner % 2;
      average[o] += x[i] / 4;
      spread[i] += half_dy[o] / 4;
    }
  EACH(average_pool, out, x.at(), half.at(), height, width, out);
  expect("average pool", half, average);
  EACH(average_pool_gradient, count, half_dy.at(), dx.at(), height, width, count);
  expect("average pool gradient", dx, spread);
}

void losses(int count, float focal, float positive_weight) {
  Tensor<float> logit(count, 12, -6, 6), label(count), mean(1), slopes(count);
  int known = 0;
  for (int i = 0; i < count; i++) label.data[i] = i % 3 == 2 ? NAN : i % 3;
  for (float y : label.data) known += !std::isnan(y);
  auto term = [&](double z, double y) {
    double p = 1 / (1 + exp(y > 0.5 ? -z : z));
    return (y > 0.5 ? positive_weight : 1) * pow(1 - p, focal) * -log(p) / known;
  };
  Values sum(1), quotients(count);
  for (int i = 0; i < count; i++) {
    if (std::isnan(label[i])) continue;
    sum[0] += term(logit[i], label[i]);
    quotients[i] = (term(logit[i] + 1e-5, label[i]) - term(logit[i] - 1e-5, label[i])) / 2e-5;
  }
  launch(1, 1, THREADS, loss, logit.at(), label.at(), mean.at(), slopes.at(), focal, positive_weight, count);
  expect("loss", mean, sum);
  expect("slopes of the loss", slopes, quotients);
}

// Two parameters of which only the second has averages, in fewer blocks than it has elements for.
void optimiser(int first, int second) {
  float keep = 0.9f, decay = 0.2f, mean_decay = 0.9f, mean_share = 0.1f, square_decay = 0.99f, square_share = 0.01f;
  float rate = 0.1f, root_scale = 1.5f, epsilon = 1e-3f;
  Tensor<float> w1(first, 13, -1, 1), g1(first, 14, -1, 1), w2(second, 15, -1, 1), g2(second, 16, -1, 1), mean(second, 17, -1, 1), square(second, 18, 0, 1);
  Values plain(first), adaptive(second), means(second), squares(second);
  for (int i = 0; i < first; i++) plain[i] = keep * w1[i] - rate * (g1[i] + decay * w1[i]);
  for (int i = 0; i < second; i++) {
    double g = g2[i] + decay * w2[i];
    means[i] = mean_decay * mean[i] + mean_share * g;
    squares[i] = square_decay * square[i] + square_share * g * g;
    adaptive[i] = keep * w2[i] - rate * means[i] / (sqrt(squares[i]) * root_scale + epsilon);
  }
  ParameterUpdate both[2] = {{w1.at(), g1.at(), nullptr, nullptr, first}, {w2.at(), g2.at(), mean.at(), square.at(), second}};
  launch(2, 2, THREADS, optimiser_step, both, keep, decay, mean_decay, mean_share, square_decay, square_share, rate, root_scale, epsilon);
  expect("plain step", w1, plain);
  expect("adaptive step", w2, adaptive);
  expect("mean of gradients", mean, means);
  expect("mean of squared gradients", square, squares);
}

template <typename T>
void all() {
  batch_norm<T>(3, 5, 7 * 9, 1, 0, false, 0);
  batch_norm<T>(2, 3, 31 * 29, 4, 1, false, 2);
  batch_norm<T>(1, 2, 11, 7, 2, false, 0);  // more spans than some of them have elements
  batch_norm<T>(2, 3, 13 * 5, 2, 2, true, 1);
  depthwise_all<T>(2, 3, 9, 7, 3, 1, 1, 1, 2);
  depthwise_all<T>(3, 2, 11, 8, 5, 2, 2, 1, 3);
  depthwise_all<T>(1, 2, 8, 6, 3, 2, 0, 0, 1);
  pools<T>(5, 9, 7);
  pools<T>(3, 17, 18);
}

int main() {
  all<float>();
  all<bf16>();
  losses(20, 0, 1);
  losses(700, 2, 3);
  optimiser(37, 1501);
  puts(faults ? "kernels.cu is wrong" : "kernels.cu agrees");
  return faults != 0;
}
