// report.js - draws the page from the data in it. All texts come from files and from a model: they become text nodes, never markup.
'use strict';
(function () {
  const data = JSON.parse(document.getElementById('data').textContent);
  const runs = data.evaluations;
  const PAGE = 20;
  const PARTS = 24;
  const state = { run: 0, filter: 'all', category: '', order: 'worst', search: '', page: 0, focus: -1, shown: [], parts: false };
  const $ = (id) => document.getElementById(id);

  // ---- small tools

  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === false || value === null || value === undefined) continue;
      if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? '' : value);
    }
    for (const child of children) if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) =>
    fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

  const isNumber = (x) => typeof x === 'number' && isFinite(x);
  const decimals = (unit) => (unit === '%' ? 2 : 1);
  const show = (x, unit) => (isNumber(x) ? x.toFixed(decimals(unit)) : '–');
  const range = (f, unit) => (isNumber(f.low) && isNumber(f.high) ?
    f.low.toFixed(decimals(unit) - 1) + '–' + f.high.toFixed(decimals(unit) - 1) : '');
  const nameOf = (run) => run.label || run.title;
  const models = [];
  for (const run of runs) for (const p of run.published) if (!models.includes(p.model) && models.length < 3) models.push(p.model);

  // What was published of one figure; the first figure is also the one without a name.
  function published(run, index, model) {
    const f = run.figures[index];
    const p = run.published.find((x) => x.model === model && ((index === 0 && x.part === '') || (f && x.part === f.name)));
    return p ? p.value : null;
  }

  // ---- the table of scores

  function drawScores() {
    const head = [runs.some((r) => r.label) ? 'run' : 'benchmark', 'score', '95 % interval', ...models, 'answers', 'malformed', 'missing', 'failed'];
    const rows = runs.map((run, i) => {
      const numbers = [show(run.score, run.unit), range(run, run.unit), ...models.map((m) => show(published(run, 0, m), run.unit)),
        run.answers, run.malformed, run.missing, run.failed];
      return el('tr', { class: i === state.run && runs.length > 1 ? 'chosen' : null },
        el('td', null, el('button', { type: 'button', onclick: () => choose(i) }, nameOf(run))),
        ...numbers.map((x) => el('td', null, String(x))));
    });
    $('scores').replaceChildren(el('thead', null, el('tr', null, ...head.map((h) => el('th', { scope: 'col' }, h)))), el('tbody', null, ...rows));
  }

  // ---- bars

  function ceiling(values, unit) {
    const max = Math.max(...values.filter(isNumber), 0);
    if (unit === '%' && max <= 100) return 100;
    if (max <= 0) return 1;
    const step = Math.pow(10, Math.floor(Math.log10(max)));
    return Math.ceil(max / step * 2) / 2 * step;
  }

  function shorten(text, width) {
    const letters = Array.from(text);
    const fits = Math.max(4, Math.floor(width / 7));
    return letters.length <= fits ? text : letters.slice(0, fits - 1).join('') + '…';
  }

  // rows: [{name, value, low, high, published: [..]}]. Narrow screens get the name above its bar.
  function bars(rows, unit, width) {
    const narrow = width < 480;
    const left = narrow ? 0 : Math.min(200, width * 0.3);
    const right = 64;
    const room = Math.max(40, width - left - right);
    const max = ceiling(rows.flatMap((r) => [r.value, r.high, ...r.published]), unit);
    const x = (v) => left + Math.max(0, Math.min(1, v / max)) * room;
    const picture = svg('svg', { role: 'img' });
    let y = 4;
    const lines = [];
    for (const row of rows) {
      const known = row.published.map((v, k) => [v, k]).filter((p) => isNumber(p[0]));
      const top = y + (narrow ? 16 : 0);
      const name = svg('text', { x: narrow ? 0 : left - 8, y: narrow ? y + 11 : y + 12, 'text-anchor': narrow ? 'start' : 'end' }, shorten(row.name, narrow ? width : left - 8));
      name.append(svg('title', null, row.name));
      lines.push(name);
      if (isNumber(row.value)) {
        lines.push(svg('rect', { class: 'ours', x: left, y: top, width: Math.max(1, x(row.value) - left), height: 14, rx: 2 },
          svg('title', null, row.name + ': ' + show(row.value, unit) + ' [' + range(row, unit) + ']')));
        if (isNumber(row.low) && isNumber(row.high)) {
          lines.push(svg('path', { class: 'whisker', d: 'M' + x(row.low) + ' ' + (top + 3) + 'v8m0 -4H' + x(row.high) + 'm0 -4v8' }));
        }
      }
      lines.push(svg('text', { x: width, y: top + 11, 'text-anchor': 'end' }, show(row.value, unit)));
      let under = top + 16;
      for (const [value, k] of known) {
        lines.push(svg('rect', { class: 'model' + k, x: left, y: under, width: Math.max(1, x(value) - left), height: 5, rx: 1 },
          svg('title', null, models[k] + ': ' + show(value, unit))));
        under += 7;
      }
      y = under + 6;
    }
    for (let i = 0; i <= 4; i++) {
      const at = left + room * i / 4;
      picture.append(svg('line', { class: 'grid', x1: at, x2: at, y1: 0, y2: y }));
      picture.append(svg('text', { class: 'quiet', x: at, y: y + 13, 'text-anchor': i === 0 ? 'start' : 'middle' }, String(+(max * i / 4).toFixed(2))));
    }
    picture.append(...lines);
    fill(picture, { viewBox: '0 0 ' + width + ' ' + (y + 18), height: y + 18 }, []);
    return picture;
  }

  function legend(some) {
    const swatch = (name) => svg('svg', { viewBox: '0 0 12 12' }, svg('rect', { class: name, width: 12, height: 12, rx: 2 }));
    const items = [el('span', null, swatch('ours'), 'this run, with its 95 % interval')];
    models.forEach((m, k) => { if (some(k)) items.push(el('span', null, swatch('model' + k), m + ', published')); });
    return el('p', { class: 'legend' }, ...items);
  }

  const widthOf = (node) => Math.max(240, Math.floor(node.clientWidth || 600));

  function drawScoreCharts() {
    const place = $('score-charts');
    place.replaceChildren();
    for (const unit of new Set(runs.map((r) => r.unit))) {
      const rows = runs.filter((r) => r.unit === unit && r.figures.length > 0).map((r) => ({ name: nameOf(r), value: r.score, low: r.low, high: r.high,
        published: models.map((m) => published(r, 0, m)) }));
      const figure = el('figure', null, el('figcaption', null, unit === '%' ? 'Scores, per cent' : 'Scores, ' + unit));
      if (rows.length === 0) continue;
      place.append(figure);
      figure.append(bars(rows, unit, widthOf(figure) - 24), legend((k) => rows.some((r) => isNumber(r.published[k]))));
    }
  }

  // "category: color" and its like go into a chart of their own: their scale is another.
  function drawParts(run) {
    const groups = new Map();
    run.figures.forEach((f, i) => {
      const cut = f.name.indexOf(': ');
      const title = cut > 0 ? f.name.slice(0, cut) : 'Figures';
      if (!groups.has(title)) groups.set(title, []);
      groups.get(title).push({ name: cut > 0 ? f.name.slice(cut + 2) : f.name, value: f.value, low: f.low, high: f.high,
        published: models.map((m) => published(run, i, m)) });
    });
    $('parts').replaceChildren();
    if (run.figures.length < 2) return;
    for (const [title, all] of groups) {
      const figure = el('figure', null, el('figcaption', null, title + ', ' + (run.unit === '%' ? 'per cent' : run.unit)));
      $('parts').append(figure);
      figure.rows = all;
    }
    for (const figure of $('parts').children) {
      const all = figure.rows;
      figure.append(bars(state.parts ? all : all.slice(0, PARTS), run.unit, widthOf(figure) - 24));
      if (all.length > PARTS) {
        figure.append(el('button', { type: 'button', onclick: () => { state.parts = !state.parts; drawParts(run); } },
          state.parts ? 'show ' + PARTS : 'show all ' + all.length));
      }
    }
  }

  // histogram: {low, step, count: []}
  function drawHistogram(place, h) {
    place.replaceChildren();
    if (!h || h.count.length === 0) {
      place.append(el('p', { class: 'quiet' }, 'nothing was measured'));
      return;
    }
    const width = widthOf(place), height = 150, bottom = 20, top = 14;
    const max = Math.max(...h.count, 1);
    const step = width / h.count.length;
    const picture = svg('svg', { role: 'img', viewBox: '0 0 ' + width + ' ' + height, height: height });
    const tidy = (v) => String(+v.toPrecision(3));
    h.count.forEach((n, i) => {
      const tall = (height - bottom - top) * n / max;
      picture.append(svg('rect', { class: 'ours', x: i * step + 1, width: Math.max(1, step - 2), y: height - bottom - tall, height: tall },
        svg('title', null, tidy(h.low + i * h.step) + ' to ' + tidy(h.low + (i + 1) * h.step) + ': ' + n)));
    });
    picture.append(svg('line', { class: 'grid', x1: 0, x2: width, y1: height - bottom, y2: height - bottom }));
    picture.append(svg('text', { class: 'quiet', x: 0, y: height - 5 }, tidy(h.low)));
    picture.append(svg('text', { class: 'quiet', x: width / 2, y: height - 5, 'text-anchor': 'middle' }, tidy(h.low + h.step * h.count.length / 2)));
    picture.append(svg('text', { class: 'quiet', x: width, y: height - 5, 'text-anchor': 'end' }, tidy(h.low + h.step * h.count.length)));
    picture.append(svg('text', { class: 'quiet', x: 0, y: 10 }, 'up to ' + max + (max === 1 ? ' question' : ' questions')));
    place.append(picture);
  }

  // ---- two runs

  const plus = (x, digits) => (isNumber(x) ? (x > 0 ? '+' : '') + x.toFixed(digits) : '–');

  function drawComparison(run) {
    const c = run.comparison;
    $('comparison').hidden = !c;
    if (!c) return;
    const t = c.test;
    const row = (f) => el('tr', null, el('td', null, f.name), el('td', null, show(f.a, c.unit)), el('td', null, show(f.b, c.unit)),
      el('td', null, isNumber(f.a) && isNumber(f.b) ? plus(f.b - f.a, decimals(c.unit)) : '–'));
    const p = t.p < 1e-4 ? 'p < 0.0001' : 'p = ' + (+t.p.toFixed(4));
    $('comparison').replaceChildren(
      el('h3', null, 'A against B'),
      el('p', { class: 'quiet' }, 'A is ' + c.a + ', B is ' + c.b + '.'),
      el('p', null, 'B is better at ' + t.better + ' and worse at ' + t.worse + ' of ' + t.n + (t.n === c.questions ? ' questions' : ' groups of questions') +
        '; the mean differs by ' + plus(t.difference, 2) + ' per cent, 95 % interval ' + plus(t.low, 1) + ' to ' + plus(t.high, 1) + ', ' + p + ' (' + t.method + ').'),
      el('div', { class: 'scroll' }, el('table', null, el('thead', null, el('tr', null, ...['figure', 'A', 'B', 'B − A'].map((h) => el('th', { scope: 'col' }, h)))),
        el('tbody', null, ...c.figures.map(row)))),
      c.only_a + c.only_b > 0 ? el('p', { class: 'quiet' }, 'Asked of A alone: ' + c.only_a + ', of B alone: ' + c.only_b + '.') : '');
  }

  // ---- questions

  const isWrong = (r) => !r.pending && r.credit < 1;
  const FILTERS = [
    ['all', 'all', () => true],
    ['wrong', 'not fully right', isWrong],
    ['right', 'right', (r) => !r.pending && r.credit >= 1],
    ['malformed', 'malformed', (r) => r.malformed === true],
    ['silent', 'without an answer', (r) => typeof r.error === 'string'],
    ['pending', 'waiting for a judge', (r) => r.pending === true],
    ['lost', 'A better than B', (r) => r.before && r.before.credit > r.credit],
    ['won', 'B better than A', (r) => r.before && r.before.credit < r.credit],
  ];
  const ORDERS = {
    worst: (a, b) => a.rank - b.rank,
    file: (a, b) => a.index - b.index,
    long: (a, b) => b.tokens - a.tokens || a.rank - b.rank,
    slow: (a, b) => b.seconds - a.seconds || a.rank - b.rank,
  };

  function option(value, text) {
    return el('option', { value: value }, text);
  }

  function fillControls(run) {
    const kept = FILTERS.filter(([key, , test]) => key === 'all' || run.records.some(test));
    $('filter').replaceChildren(...kept.map(([key, text, test]) => option(key, text + ' (' + run.records.filter(test).length + ')')));
    if (!kept.some(([key]) => key === state.filter)) state.filter = 'all';
    $('filter').value = state.filter;
    const names = new Set();
    for (const r of run.records) for (const key of ['category', 'kind']) if (r[key]) names.add(r[key]);
    $('category').replaceChildren(option('', 'all'), ...Array.from(names).sort().map((n) => option(n, n)));
    if (!names.has(state.category)) state.category = '';
    $('category').value = state.category;
    $('category').parentNode.hidden = names.size === 0;
  }

  function select() {
    const run = runs[state.run];
    const test = FILTERS.find(([key]) => key === state.filter)[2];
    const words = state.search.toLowerCase().split(/\s+/).filter((w) => w !== '');
    const has = (r) => {
      const text = [r.question, r.answer, r.id, r.image, ...r.references].join('\n').toLowerCase();
      return words.every((w) => text.includes(w));
    };
    state.shown = run.records.filter((r) => test(r) && (state.category === '' || r.category === state.category || r.kind === state.category) &&
      (words.length === 0 || has(r)));
    state.shown.sort(ORDERS[state.order]);
    state.page = 0;
    drawList();
  }

  // Boxes and points are fractions of the picture.
  function marks(r) {
    const layer = svg('svg', { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    for (const m of r.marks) {
      const p = m.at;
      if (p.length === 4) {
        const shape = { x: Math.min(p[0], p[2]), y: Math.min(p[1], p[3]), width: Math.abs(p[2] - p[0]), height: Math.abs(p[3] - p[1]) };
        layer.append(svg('rect', Object.assign({ class: 'halo' }, shape)), svg('rect', Object.assign({ class: 'box ' + m.of }, shape)));
      } else {
        layer.append(svg('ellipse', { class: 'halo', cx: p[0], cy: p[1], rx: 0.012, ry: 0.012 }),
          svg('ellipse', { class: 'box ' + m.of, cx: p[0], cy: p[1], rx: 0.012, ry: 0.012 }));
      }
    }
    return layer;
  }

  function picture(r, large) {
    if (r.picture === undefined) {
      return el('div', { class: 'picture none' }, r.image === '' ? 'no picture' : r.image);
    }
    const frame = el('button', { type: 'button', class: 'picture', 'aria-label': 'the picture, large', onclick: large ? closeLarge : () => openLarge(r) },
      el('img', { src: data.pictures[r.picture], alt: r.image, loading: 'lazy' }));
    if (r.marks && r.marks.length > 0) frame.append(marks(r));
    return frame;
  }

  function openLarge(r) {
    $('large').replaceChildren(picture(r, true));
    $('large').showModal();
  }
  function closeLarge() {
    $('large').close();
  }

  function tags(run, r) {
    const list = [el('span', { class: 'tag' }, '#' + r.index + (r.id ? ' · ' + r.id : ''))];
    for (const key of ['category', 'kind']) if (r[key]) list.push(el('span', { class: 'tag' }, r[key]));
    if (r.error) list.push(el('span', { class: 'tag bad' }, 'no answer'));
    else if (r.pending) list.push(el('span', { class: 'tag odd' }, 'waits for a judge'));
    else list.push(el('span', { class: 'tag ' + (r.credit >= 1 ? 'good' : r.credit > 0 ? 'odd' : 'bad') }, 'score ' + (+r.score.toFixed(3))));
    if (r.malformed) list.push(el('span', { class: 'tag odd' }, 'malformed'));
    return el('p', { class: 'tags' }, ...list);
  }

  const said = (answer) => (answer.trim() === '' ? '(nothing)' : answer);

  function question(run, r, i) {
    const words = el('dl', null);
    const add = (name, text, attributes) => words.append(el('dt', null, name), el('dd', attributes || null, text));
    add('question', r.question);
    if (r.choices) add('choices', r.choices.map((c, k) => String.fromCharCode(65 + k) + '. ' + c).join('\n'));
    if (r.references.length > 0) add(r.references.length > 1 ? 'references' : 'reference', r.references.join(' · '));
    if (r.before) add('answer of A', said(r.before.answer) + '   (score ' + (+r.before.score.toFixed(3)) + ')');
    if (r.error) add('no answer', r.error, { class: 'answer' });
    else add(r.before ? 'answer of B' : 'answer', said(r.answer), { class: r.answer.trim() === '' ? 'quiet' : 'answer' });
    if (r.taken && r.taken !== r.answer) add('taken as', r.taken);
    const more = el('details', null, el('summary', null, 'details'), el('dl', null,
      el('dt', null, 'image'), el('dd', null, r.image || '–'),
      el('dt', null, 'tokens'), el('dd', null, r.tokens + (r.finish ? ', ended by ' + r.finish : '')),
      el('dt', null, 'seconds'), el('dd', null, String(+r.seconds.toFixed(4)))));
    const kind = r.pending ? 'pending' : r.credit >= 1 ? 'right' : r.credit > 0 ? 'part' : 'wrong';
    return el('li', { class: 'question ' + kind, tabindex: '0', onfocus: () => { state.focus = i; } },
      picture(r, false), el('div', { class: 'words' }, tags(run, r), words, more));
  }

  function drawList() {
    const run = runs[state.run];
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    const first = state.page * PAGE;
    const some = state.shown.slice(first, first + PAGE);
    $('list').replaceChildren(...some.map((r, i) => question(run, r, i)));
    state.focus = -1;
    $('page').textContent = 'page ' + (state.page + 1) + ' of ' + pages;
    $('previous').disabled = state.page === 0;
    $('next').disabled = state.page + 1 >= pages;
    const held = run.records.length < run.asked ? ' The page holds the ' + run.records.length + ' worst of ' + run.asked + ' questions.' : '';
    const boxes = run.records.some((r) => r.marks && r.marks.length > 0) ? ' Boxes: solid green the reference, dashed red the answer' + (run.comparison ? ', dotted yellow that of A' : '') + '.' : '';
    $('count').textContent = (state.shown.length === 0 ? 'No question fits.' : 'Questions ' + (first + 1) + '–' + (first + some.length) + ' of ' + state.shown.length + '.') +
      held + ' ' + data.pictures_note + boxes;
  }

  function turn(by) {
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    const to = state.page + by;
    if (to < 0 || to >= pages) return;
    state.page = to;
    drawList();
    $('questions-head').scrollIntoView();
  }

  // ---- one benchmark

  function notes(run) {
    const list = [];
    const add = (n, one, many) => { if (n > 0) list.push(el('li', null, n + ' ' + (n === 1 ? one : many))); };
    for (const line of (run.remarks || '').split('\n')) if (line !== '') list.push(el('li', null, line));
    if (run.asked < run.questions) list.push(el('li', null, run.asked + ' of ' + run.questions + ' questions were asked'));
    add(run.malformed, 'answer is malformed', 'answers are malformed');
    add(run.missing, 'question whose image was not found; it counts as wrong', 'questions whose images were not found; they count as wrong');
    add(run.failed, 'question has no answer for another reason; it counts as wrong', 'questions have no answer for other reasons; they count as wrong');
    add(run.pending, 'answer waits for a judge', 'answers wait for a judge');
    return list;
  }

  function drawRun() {
    const run = runs[state.run];
    drawScores();
    $('choose').value = String(state.run);
    $('notes').replaceChildren(...notes(run));
    drawComparison(run);
    drawParts(run);
    drawHistogram($('lengths'), run.lengths);
    drawHistogram($('times'), run.times);
    $('settings').textContent = JSON.stringify(run.settings, null, 2);
  }

  function choose(i) {
    state.run = i;
    state.parts = false;
    drawRun();
    fillControls(runs[i]);
    select();
  }

  // ---- keys and controls

  function step(by) {
    const items = $('list').children;
    if (items.length === 0) return;
    const to = Math.max(0, Math.min(items.length - 1, state.focus + by));
    items[to].focus();
  }

  function onKey(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const typing = e.target instanceof HTMLElement && ['INPUT', 'SELECT', 'TEXTAREA'].includes(e.target.tagName);
    if (e.key === 'Escape' && typing) { e.target.blur(); return; }
    if (typing || $('large').open) return;
    const item = state.focus >= 0 ? $('list').children[state.focus] : null;
    const record = state.focus >= 0 ? state.shown[state.page * PAGE + state.focus] : null;
    const actions = {
      j: () => step(1), k: () => step(-1), ArrowLeft: () => turn(-1), ArrowRight: () => turn(1), '/': () => $('search').focus(),
      z: () => { if (record && record.picture !== undefined) openLarge(record); },
    };
    if (e.key === 'Enter' && item === e.target) actions.Enter = () => { const d = item.querySelector('details'); d.open = !d.open; };
    if (!actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  }

  function listen(id, event, key) {
    $(id).addEventListener(event, () => { state[key] = $(id).value; select(); });
  }

  function start() {
    let drawn = window.innerWidth;
    document.title = data.title;
    $('title').textContent = data.title;
    $('about').textContent = data.about;
    $('choose').replaceChildren(...runs.map((r, i) => option(String(i), nameOf(r))));
    $('choose').disabled = runs.length < 2;
    $('choose').addEventListener('change', () => choose(Number($('choose').value)));
    $('controls').addEventListener('submit', (e) => e.preventDefault());
    listen('filter', 'change', 'filter');
    listen('category', 'change', 'category');
    listen('order', 'change', 'order');
    listen('search', 'input', 'search');
    $('previous').addEventListener('click', () => turn(-1));
    $('next').addEventListener('click', () => turn(1));
    document.addEventListener('keydown', onKey);
    window.addEventListener('resize', () => {
      if (window.innerWidth === drawn) return;
      drawn = window.innerWidth;
      drawScoreCharts();
      drawRun();
    });
    for (const run of runs) run.records.forEach((r, i) => { r.rank = i; });
    drawScoreCharts();
    if (runs.length > 0) choose(0);
  }

  start();
})();
