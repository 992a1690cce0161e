"""Proto 2."""
from __future__ import annotations
import argparse, json, random, sys
from dataclasses import dataclass
from pathlib import Path
sys.path.insert(0,str(Path(__file__).parent))
from support_topics import RULES, TOPICS, Rule, Topic, Value

OPENERS = ("Hello!", "Good morning.", "Quick question.", "Hi there.")
CLOSERS = ("Have a good day!", "Thank you for asking.", "Anything else?", "Happy to help.")
GREET = ("Hello!", "Thanks for your message.", "Good question.")

@dataclass
class Claim:
    question: str; answer: str; fact: str

def cap(s): return s[:1].upper()+s[1:]
def fill(t, thing="", value=""):
    return cap(t.replace("{Thing}", thing[:1].upper()+thing[1:]).replace("{thing}", thing).replace("{value}", value))

class W:
    def __init__(self, rng, split): self.rng, self.split = rng, split
    def pick(self, ts): return ts[-1] if self.split=="test" and self.rng.random()<.15 else self.rng.choice(ts[:-1])
    def thing(self, m): return self.rng.choice(getattr(m.things, self.split))
    def chat(self, text, before, after, p):
        r=self.rng.random()
        if r<p: return f"{self.rng.choice(before)} {text}"
        if r>1-p and after: return f"{text} {self.rng.choice(after)}"
        return text

def values(w,m,n):
    return w.rng.sample((True,False),n) if isinstance(m,Rule) else w.rng.sample(m.values,n)

def claim(w,m,thing,value,exact,named=False):
    q=fill(w.pick(m.questions),thing)
    if isinstance(m,Rule):
        return Claim(q,fill(w.pick(m.yes if value else m.no),thing),fill(w.rng.choice(m.allowed if value else m.refused),thing))
    a=w.rng.choice(m.named) if named else w.pick(m.answers)
    return Claim(q,fill(a,thing,value.fact if exact else value.same),fill(m.fact,thing,value.fact))

def matters(w, rule_share=.35):
    return w.rng.choice(RULES) if w.rng.random()<rule_share else w.rng.choice(TOPICS)

def rows4(w,questions, outputs, truths):
    return [(q,o,g,int(i==j)) for i,(q,g) in enumerate(zip(questions,truths)) for j,o in enumerate(outputs)]

def other(w, same_share):
    m1=matters(w)
    while True:
        m2=matters(w)
        if m2 is m1 or (isinstance(m1,Rule) and isinstance(m2,Rule)): continue
        if (m2.things is m1.things)==(w.rng.random()<same_share): break
    t1=w.thing(m1); t2=t1 if m2.things is m1.things else w.thing(m2)
    v1=values(w,m1,1)[0]; v2=values(w,m2,1)[0]
    while v2==v1: v2=values(w,m2,1)[0]
    ex=w.rng.random()<.5
    c=[claim(w,m1,t1,v1,ex),claim(w,m2,t2,v2,ex)]
    f=[x.fact for x in c]; w.rng.shuffle(f); gt=" ".join(f)
    return f"{m1.name}-{m2.name}",rows4(w,[w.chat(x.question,OPENERS,(),.2) for x in c],[w.chat(x.answer,GREET,CLOSERS,.15) for x in c],[gt,gt])

def against(w, m, exact, filler=.5, named=.25):
    t=w.thing(m); a,b=values(w,m,2)
    c=[claim(w,m,t,v,exact,w.rng.random()<named) for v in (a,b)]
    facts=[[x.fact] for x in c]
    if w.rng.random()<filler:
        while True:
            o=matters(w)
            if o is not m and not (isinstance(o,Topic) and isinstance(m,Topic) and o.values is m.values): break
        f=claim(w,o,t if o.things is m.things else w.thing(o),values(w,o,1)[0],True).fact
        k=w.rng.random()<.5
        for x in facts: x.insert(k,f)
    q=w.chat(c[0].question,OPENERS,(),.2)
    return m.name, rows4(w,[q,q],[w.chat(x.answer,GREET,CLOSERS,.15) for x in c],[" ".join(x) for x in facts])
def entry(w):
    m=matters(w); t=w.rng.sample(getattr(m.things,w.split),2); v=values(w,m,2); ex=w.rng.random()<.5
    c=[claim(w,m,a,b,ex) for a,b in zip(t,v)]
    f=[x.fact for x in c]; w.rng.shuffle(f); gt=" ".join(f)
    q=w.pick(m.questions)
    return m.name,rows4(w,[fill(q,a) for a in t],[w.chat(x.answer,GREET,CLOSERS,.15) for x in c],[gt,gt])
def swap(w):
    m=w.rng.choice(TOPICS); t=w.rng.sample(getattr(m.things,w.split),2); v=values(w,m,2); ex=w.rng.random()<.5; k=w.rng.random()<.5
    g=[]
    for x,y in (v,v[::-1]):
        f=[fill(m.fact,t[0],x.fact),fill(m.fact,t[1],y.fact)]
        g.append(" ".join(f[::-1] if k else f))
    c=[claim(w,m,t[0],x,ex,True) for x in v]
    return m.name,rows4(w,[c[0].question]*2,[w.chat(x.answer,GREET,CLOSERS,.15) for x in c],g)
WORDY={"restock","colour","carrier","day-off","course-day","course-room"}
def off(w): return other(w,0)
def offsame(w): return other(w,1)
def flip(w): return against(w,w.rng.choice(RULES),True)
def wordy(w): return against(w,w.rng.choice([t for t in TOPICS if t.name in WORDY]),True)
def numexact(w): return against(w,w.rng.choice([t for t in TOPICS if t.name not in WORDY]),True)
def numpara(w): return against(w,w.rng.choice([t for t in TOPICS if t.name not in WORDY]),False)

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
    mix=json.loads(sys.argv[2])
    for split,scale in (("train",1),("test",.25)):
        rows=make(split,scale,7,mix)
        (out/f"{split}.jsonl").write_text("".join(json.dumps(r,ensure_ascii=False)+"\n" for r in rows))
        print(split,len(rows),(out/f"{split}.jsonl").stat().st_size)
