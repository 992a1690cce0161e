"""Prototype."""
from __future__ import annotations
import argparse, json, random, sys
from itertools import product
from pathlib import Path
from support_topics import RULES, TOPICS, Rule, Topic, Value

MIX = {"entry": 150, "swap": 150, "topic": 150, "value": 80, "rule": 100}

def cap(s): return s[:1].upper()+s[1:]
def fill(t, thing="", value=""):
    return cap(t.replace("{Thing}", thing[:1].upper()+thing[1:]).replace("{thing}", thing).replace("{value}", value))

class W:
    def __init__(self, rng, split): self.rng, self.split = rng, split
    def pick(self, ts): return self.rng.choice(ts if self.split=="test" else ts[:-1])
    def two(self, ts): return self.rng.sample(ts if self.split=="test" else ts[:-1], 2)
    def things(self, topic, n): return self.rng.sample(getattr(topic.things, self.split), n)

def facts(w, topic, pairs, style):
    pairs = list(pairs)
    if style == 0:
        return " ".join(fill(topic.fact, t, v) for t, v in pairs)
    if style == 1:
        return f"{topic.heading}: " + ", ".join(f"{t} {v}" for t, v in pairs) + "."
    return f"{topic.heading}: " + "; ".join(f"{v} ({t})" if False else f"{t}: {v}" for t, v in pairs) + "."

def rows4(questions, outputs, truths):
    """2x2 of (q, gt) situations by outputs; situation i goes with output i."""
    out=[]
    for i,(q,g) in enumerate(zip(questions,truths)):
        for j,o in enumerate(outputs):
            out.append((q,o,g,int(i==j)))
    return out

def says(w, topic, value, exact, named=None, tpl=None):
    text = value.fact if exact else value.same
    return fill(tpl, named or "", text)

def entry(w):
    t=w.rng.choice(TOPICS); n=w.rng.choice((2,2,3)); th=w.things(t,n); vs=w.rng.sample(t.values,n)
    exact=w.rng.random()<.6; style=w.rng.randrange(3)
    gt=facts(w,t,[(a,b.fact) for a,b in zip(th,vs)],style)
    i,j=w.rng.sample(range(n),2)
    qt=w.pick(t.questions); at=w.pick(t.answers)
    return t.name, rows4([fill(qt,th[i]),fill(qt,th[j])],[fill(at,value=(v.fact if exact else v.same)) for v in (vs[i],vs[j])],[gt,gt])

def swap(w):
    t=w.rng.choice(TOPICS); n=w.rng.choice((2,2,3)); th=w.things(t,n); vs=w.rng.sample(t.values,n)
    exact=w.rng.random()<.6; style=w.rng.randrange(3)
    i,j=w.rng.sample(range(n),2)
    vs2=list(vs); vs2[i],vs2[j]=vs2[j],vs2[i]
    g1=facts(w,t,[(a,b.fact) for a,b in zip(th,vs)],style); g2=facts(w,t,[(a,b.fact) for a,b in zip(th,vs2)],style)
    q=fill(w.pick(t.questions),th[i]); nt=w.rng.choice(t.named)
    return t.name, rows4([q,q],[fill(nt,th[i],(v.fact if exact else v.same)) for v in (vs[i],vs[j])],[g1,g2])

def topic(w):
    things=w.rng.choice([t.things for t in TOPICS])
    t1,t2=w.rng.sample([t for t in TOPICS if t.things is things],2)
    th=w.things(t1,1)[0]; v1=w.rng.choice(t1.values); v2=w.rng.choice([v for v in t2.values if v!=v1])
    f=[fill(t1.fact,th,v1.fact),fill(t2.fact,th,v2.fact)]; w.rng.shuffle(f); gt=" ".join(f)
    exact=w.rng.random()<.6
    return f"{t1.name}-{t2.name}", rows4([fill(w.pick(t1.questions),th),fill(w.pick(t2.questions),th)],
       [fill(w.pick(t.answers),value=(v.fact if exact else v.same)) for t,v in ((t1,v1),(t2,v2))],[gt,gt])

def value(w):
    t=w.rng.choice(TOPICS); n=2; th=w.things(t,n); a,b,c=w.rng.sample(t.values,3)
    exact=w.rng.random()<.3; style=w.rng.randrange(3)
    pairs1=[(th[0],a.fact),(th[1],c.fact)]; pairs2=[(th[0],b.fact),(th[1],c.fact)]
    if w.rng.random()<.5: pairs1.reverse(); pairs2.reverse()
    q=fill(w.pick(t.questions),th[0]); at=w.pick(t.answers)
    return t.name, rows4([q,q],[fill(at,value=(v.fact if exact else v.same)) for v in (a,b)],[facts(w,t,pairs1,style),facts(w,t,pairs2,style)])

def rule(w):
    r=w.rng.choice(RULES); th=w.things(r,2)
    f=[fill(r.allowed,th[0]),fill(r.refused,th[1])]; 
    flip=[fill(r.refused,th[0]),fill(r.allowed,th[1])]
    if w.rng.random()<.5: f.reverse(); flip.reverse()
    outs=[w.pick(r.yes),w.pick(r.no)]; qt=w.pick(r.questions)
    if w.rng.random()<.5:
        return r.name, rows4([fill(qt,th[0]),fill(qt,th[1])],outs,[" ".join(f)]*2)
    q=fill(qt,th[0])
    if w.rng.random()<.5: f=[fill(r.allowed,th[0])]; flip=[fill(r.refused,th[0])]
    return r.name, rows4([q,q],outs,[" ".join(f)," ".join(flip)])

def make(split, scale, seed, mix):
    rng=random.Random(f"{split}-{seed}"); w=W(rng,split); out=[]
    kinds=[globals()[k] for k,n in mix.items() for _ in range(round(n*scale))]
    rng.shuffle(kinds)
    for k,kind in enumerate(kinds):
        name,rows=kind(w)
        for m,(q,o,g,l) in enumerate(rows):
            out.append(dict(id=f"{split}-{k:03}-{m}",group=f"{split}-{k:03}-{kind.__name__}-{name}",kind=kind.__name__,input=q,output=o,ground_truth=g,label=l))
    rng.shuffle(out)
    return out

if __name__=="__main__":
    out=Path(sys.argv[1]); out.mkdir(exist_ok=True,parents=True)
    mix=MIX if len(sys.argv)<3 else json.loads(sys.argv[2])
    for split,scale in (("train",1),("test",.25)):
        rows=make(split,scale,7,mix)
        (out/f"{split}.jsonl").write_text("".join(json.dumps(r,ensure_ascii=False)+"\n" for r in rows))
        print(split,len(rows),(out/f"{split}.jsonl").stat().st_size)
